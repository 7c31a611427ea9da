"""Mails: templates, language, branding, and the message that comes of them."""
