"""What email.parse tells of the judgement of mail servers, and of messages that were made for harm."""

import pytest

from flows.actions.contract import ActionFailed
from flows.actions.email import parse
from flows.actions.testing import MemoryContext, call

MAIL = "From: a@evil-site.com\r\nTo: b@acme-corp.com\r\n\r\nhello"


async def parsed(content: str):
    context = MemoryContext()
    return await call(parse, context, evidence=context.attach("mail.eml", content.encode()).id)


@pytest.mark.parametrize(
    ("results", "spf", "dkim", "dmarc"),
    [
        ([], "none", "none", "none"),
        (["mx.acme-corp.com; none"], "none", "none", "none"),
        (["mx.acme-corp.com;\r\n spf=pass (x) smtp.mailfrom=a;\r\n dkim = FAIL;dmarc=fail"], "pass", "fail", "fail"),
        (["mx.acme-corp.com; spf=softfail", "mx.forged.com; spf=pass; dkim=pass"], "softfail", "none", "none"),
        (["mx.acme-corp.com; dkim=fail header.d=spf=pass.com x-spf=pass"], "none", "fail", "none"),
    ],
)
async def test_only_what_the_topmost_server_says_counts(results, spf, dkim, dmarc):
    head = "".join(f"Authentication-Results: {one}\r\n" for one in results)
    fields = (await parsed(head + MAIL)).fields
    assert (fields["spf"], fields["dkim"], fields["dmarc"]) == (spf, dkim, dmarc)
    assert len(fields["authentication_results"]) == len(results)


async def test_a_message_nested_for_harm_is_refused():
    content = MAIL
    for number in range(2000):
        content = (
            f"From: a@b.com\nTo: c@d.com\nContent-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n{content}"
        )
    with pytest.raises(ActionFailed, match="nested too deeply"):
        await parsed(content)
