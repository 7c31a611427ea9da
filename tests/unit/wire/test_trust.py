"""What checks servers' certificates: this machine's authorities once a process, a file of one's own each time."""

import ssl

import pytest

from monitor.host.trust import trusted


def test_the_machines_authorities_are_read_once_and_checked_against():
    assert trusted(None) is trusted(None)
    assert trusted(None).verify_mode is ssl.CERT_REQUIRED
    assert trusted(None).check_hostname


def test_protocols_that_are_written_into_a_context_do_not_meet():
    assert trusted(None, "smtp") is not trusted(None)


def test_a_file_of_ones_own_is_read_each_time(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")
    with pytest.raises(ssl.SSLError):
        trusted(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        trusted(path)
