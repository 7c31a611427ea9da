// Before anything is drawn: the theme that was chosen here, so that no page flashes in another.
"use strict";
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* no storage: as the system */ }
