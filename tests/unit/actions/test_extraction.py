"""What is found in texts as they reach a SOC, and what is not."""

import ipaddress
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.actions.extraction import TYPES, find, search
from flows.actions.extraction.searching import chunks

SAMPLES = sorted(path for path in (Path(__file__).parent / "samples").iterdir() if path.suffix != ".observables")
MEGABYTE = 1024 * 1024


def expected(sample: Path) -> set[tuple[str, str]]:
    lines = sample.with_suffix(".observables").read_text("utf-8").splitlines()
    return {(kind, value) for kind, _, value in (line.partition(" ") for line in lines)}


def found(text: str, kind: str) -> list[str]:
    return [value for one, value in find(text) if one == kind]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_holds_exactly_what_an_analyst_would_write_down(sample):
    result = search([(sample.read_bytes(), sample.name, "")])
    assert set(result.items) == expected(sample)
    assert result.complete


def test_the_first_in_the_text_is_the_first_in_the_list():
    text = "from 203.0.113.9 to mail.acme-corp.com, then bob@acme-corp.com and 198.51.100.1"
    assert find(text) == [
        ("ip", "203.0.113.9"),
        ("domain", "mail.acme-corp.com"),
        ("email", "bob@acme-corp.com"),
        ("domain", "acme-corp.com"),
        ("ip", "198.51.100.1"),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("hxxp://acme-corp.com/a", "http://acme-corp.com/a"),
        ("hXXps://acme-corp.com/a", "https://acme-corp.com/a"),
        ("h**p://acme-corp.com/a", "http://acme-corp.com/a"),
        ("htxp://acme-corp.com/a", "http://acme-corp.com/a"),
        ("http[:]//acme-corp.com/a", "http://acme-corp.com/a"),
        ("http[://]acme-corp.com/a", "http://acme-corp.com/a"),
        ("http:[//]acme-corp.com/a", "http://acme-corp.com/a"),
        ("[https]://acme-corp.com/a", "https://acme-corp.com/a"),
        (r"hxxp:\\acme-corp.com/a", "http://acme-corp.com/a"),
        ("http://acme-corp[.]com/a", "http://acme-corp.com/a"),
        ("http://acme-corp(dot)com/a", "http://acme-corp.com/a"),
        ("http://acme-corp{.}com[/]a", "http://acme-corp.com/a"),
        ("http://acme-corp[.com/a", "http://acme-corp.com/a"),
        ("http://acme-corp.]com/a", "http://acme-corp.com/a"),
        ("http://acme-corp\\.com/a", "http://acme-corp.com/a"),
        ("ftp://acme-corp[.]com/a", "ftp://acme-corp.com/a"),
        ("fxp://acme-corp.com/a", "ftp://acme-corp.com/a"),
    ],
)
def test_defanged_urls_are_made_whole(written, meant):
    assert found(f"seen {written} today", "url") == [meant]


@pytest.mark.parametrize("written", ["bob[@]acme-corp.com", "bob(at)acme-corp[.]com", "bob [at] acme-corp.com"])
def test_defanged_mail_addresses_are_made_whole(written):
    assert found(written, "email") == ["bob@acme-corp.com"]


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("(https://acme-corp.com/a)", ["https://acme-corp.com/a"]),
        ("https://acme-corp.com/Worm_(computing)", ["https://acme-corp.com/Worm_(computing)"]),
        ("'https://acme-corp.com/a' and more", ["https://acme-corp.com/a"]),
        ("say “https://acme-corp.com/a”", ["https://acme-corp.com/a"]),
        ("https://acme-corp.com/a, and", ["https://acme-corp.com/a"]),
        ("https://acme-corp.com/a;https://acme-corp.com/b", ["https://acme-corp.com/a", "https://acme-corp.com/b"]),
        ("**https://acme-corp.com/a**", ["https://acme-corp.com/a"]),
        ("HTTP://Acme-Corp.COM:8080/A?b=C#d", ["http://acme-corp.com:8080/A?b=C#d"]),
        ("https://wiki.corp.internal/page", ["https://wiki.corp.internal/page"]),
        ("http://intranet/page http://localhost:8080/ http:///x http://:80/", []),
        ("http://acme-corp.com:99999/a", []),
    ],
)
def test_a_url_ends_where_it_ends(text, urls):
    assert found(text, "url") == urls


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "017700000001"])
def test_an_odd_way_to_write_a_loopback_address_is_no_observable_but_the_url_is(host):
    assert found(f"http://{host}/a", "url") == []


def test_an_odd_way_to_write_an_address_is_read_as_browsers_read_it():
    items = find("http://3405803785/a and http://0xCB.0x0.0x71.0x9/b")
    assert [value for kind, value in items if kind == "ip"] == ["203.0.113.9"]


def test_links_that_lead_elsewhere_are_followed():
    text = (
        "https://eur01.safelinks.acme-corp.com/?url=https%3A%2F%2Fevil-site.com%2Fa%3Fb&data=x "
        "https://urldefense.acme-corp.com/v3/__https://bad-site.com/b__;!!abc"
    )
    assert {"https://evil-site.com/a?b", "https://bad-site.com/b"} < set(found(text, "url"))
    assert {"evil-site.com", "bad-site.com"} < set(found(text, "domain"))


def test_the_address_of_a_victim_in_a_link_is_found():
    assert found("https://kit-host.com/login#bob@acme-corp.com", "email") == ["bob@acme-corp.com"]


@pytest.mark.parametrize(
    "text",
    [
        "isolated.It was",
        "System.Net.Http and System.IO",
        "Asp.Net ASP.NET asp.net",
        "setup.py README.md deploy.sh photos.zip libssl.so id_rsa.pub",
        "logger.info('x') window.open(y) user.name rule.id this.click a.link",
        "attributes.aws.session.id requestParameters.name",
        r"C:\tools\run.com",
        "com.example.mobile.app",
        "e.g. i.e. p.m. U.S.",
        "http://www.w3.org/1999/xhtml",
    ],
)
def test_names_that_are_no_domains(text):
    assert find(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3.4, ver. 7.0.5.11, v10.4.2.1, build 6.1.7601.1, firmware: 2.0.0.9",
        "Chrome/120.0.0.0 Edg/119.0.0.0",
        "OID 2.5.29.37 1.3.6.1.4.1.311 1.2.3.4.5",
        "package-1.2.3.4",
        "10.0.0.0/8 203.0.113.0/24 2001:db8::/32",
        "255.255.255.0 255.255.255.255 0.0.0.0 127.0.0.1 224.0.0.251 ::1",
        "CEF:0|Vendor|Product|1.0.2.7|100|x",
        "12:30:45 aa:bb:cc:dd:ee:ff std::string dead::beef 00:11:22:33:44:55:66:77",
    ],
)
def test_numbers_that_are_no_addresses(text):
    assert find(text) == []


@pytest.mark.parametrize("text", ["0" * 32, "1234567890" * 4, "ab" * 64, "QUJD" * 16, "f" * 40])
def test_digits_that_are_no_hashes(text):
    assert find(text) == []


def test_an_address_with_a_port_after_a_slash_is_no_network():
    assert found("inside:10.1.1.5/22 outside:203.0.113.9/4431", "internal_ip") == ["10.1.1.5"]
    assert found("inside:10.1.1.5/22 outside:203.0.113.9/4431", "ip") == ["203.0.113.9"]


def test_an_endless_local_part_is_no_address_and_no_part_of_it_is():
    assert found(f"{'x' * 65}@acme-corp.com", "email") == []
    assert found(f"{'x' * 64}@acme-corp.com", "email") == [f"{'x' * 64}@acme-corp.com"]


def test_code_is_read_with_care():
    assert find("evil-site.com and https://sure-site.com/a", "certain") == [
        ("url", "https://sure-site.com/a"),
        ("domain", "sure-site.com"),
    ]


HOSTILE = {
    "hex": "0123456789abcdef",
    "dots": "a.",
    "hyphens": "a-",
    "at": "a@",
    "local parts": "a.b+c",
    "colons": "1:",
    "brackets": "[.]",
    "schemes": "hxxp",
    "addresses": "1.",
    "quotes": "'\"",
    "names": "=?a?b?",
    "urls": "http://a.com/",
    "user": "http://a@",
    "parentheses": "http://a.com/" + "(" * 1000,
    "versions": "version" + " " * 50,
    "underscores": "_",
    "words": "é",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_megabyte_of_anything_comes_to_an_end(unit):
    """Were an expression quadratic, one of these would take hours."""
    content = (unit * (MEGABYTE // len(unit)))[:MEGABYTE].encode()
    assert search([(content, "", "text/plain")], seconds=300).complete


def test_a_search_ends_when_the_time_is_over():
    result = search([(b"203.0.113.9", "", "")], seconds=-1)
    assert result.items == ()
    assert not result.complete


def test_a_search_ends_with_too_many():
    text = " ".join(f"host{number}.acme-corp.com" for number in range(50))
    result = search([(text.encode(), "", "")], most=10)
    assert len(result.items) == 10
    assert not result.complete


def test_a_text_is_cut_between_words():
    text = " ".join(f"host{number}.acme-corp.com" for number in range(10_000))
    pieces = [*chunks(text)]
    assert "".join(pieces) == text
    assert len(pieces) > 2
    assert len(search([(text.encode(), "", "")]).items) == 10_000


def test_a_text_without_blanks_is_cut_all_the_same():
    assert [len(piece) for piece in chunks("x" * 150_000)] == [65_536, 65_536, 18_928]


@given(st.text(alphabet=st.sampled_from("ab.:/@[]()-_ 019xhtp%\\'\"é\n"), max_size=200))
def test_whatever_is_found_is_what_it_says(text):
    for kind, value in find(text):
        assert kind in TYPES
        assert value
        assert not re.search(r"\s", value)
        if kind in {"ip", "internal_ip"}:
            assert str(ipaddress.ip_address(value)) == value
        if kind == "domain":
            assert value == value.lower()
            assert "." in value
