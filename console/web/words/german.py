"""German, as the messages speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PAGE: Final = {
    "error": "Fehler",
    "not_taken": "Noch nicht angenommen",
    "you_answer_as": "Sie antworten als",
    "due": "Fällig",
    "works_until": "Dieser Link gilt bis",
    "moment": "{at:%d.%m.%Y, %H:%M} Uhr ({zone})",
    "instructions": "Was zu tun ist",
    "exactly": "Was genau getan wird",
    "nothing_exactly": "Ein Wert fehlt, darum steht nicht fest, was zu tun wäre. Lehnen Sie ab.",
    "answers": "Ihre Antworten",
    "note": "Notiz",
    "note_or_why": "Notiz; wenn Sie auslassen: warum",
    "needed": "(nötig)",
    "code_legend": "Mit einem Code unterschreiben",
    "code_help": (
        "Der Link allein zeigt nicht, dass Sie es sind. Das tut ein Code aus acht Ziffern, der auf einem anderen Weg zu"
        " Ihnen kommt."
    ),
    "code_first": "1. Lassen Sie sich einen Code senden.",
    "code_then": "2. Geben Sie ihn innerhalb von zehn Minuten hier ein, und entscheiden Sie dann unten.",
    "code": "Code",
    "send_code": "Code senden",
    "send_another": "Neuen Code senden",
    "code_sent": "Ein Code ist per {channel} zu Ihnen unterwegs. Geben Sie ihn unten ein, und entscheiden Sie dann.",
    "choose": "Wählen Sie eine der Schaltflächen unten.",
    "your_decision": "Ihre Entscheidung",
    "footer": (
        "Was Sie entscheiden, wird festgehalten und gilt einmal. War die Nachricht nicht für Sie, schließen Sie die"
        " Seite."
    ),
    "yes": "ja",
    "no": "nein",
    "moment_help": "Uhrzeit in {zone}.",
    "channel.sms": "SMS",
    "channel.email": "E-Mail",
}
_SEVERITIES: Final = {
    "severity.informational": "zur Kenntnis",
    "severity.low": "niedrig",
    "severity.medium": "mittel",
    "severity.high": "hoch",
    "severity.critical": "kritisch",
}
_DECISIONS: Final = {
    "decide.done": "Erledigt",
    "decide.approve": "Genehmigen",
    "decide.reject": "Ablehnen",
    "decide.skip": "Auslassen",
    "thanks": "Danke",
    "decided.done": "„{title}“ ist erledigt.",
    "decided.approve": "„{title}“ ist genehmigt.",
    "decided.one_approved": "Ihre Genehmigung von „{title}“ ist festgehalten. Es muss noch jemand genehmigen.",
    "decided.reject": "„{title}“ ist abgelehnt.",
    "decided.skip": "„{title}“ wird ausgelassen.",
    "close": "Es ist in CASE-{case} festgehalten. Sie können diese Seite schließen.",
}
_ENDED: Final = {
    "unknown.head": "Dieser Link funktioniert nicht",
    "unknown.words": "Er ist nicht von uns, oder ein Teil davon fehlt.",
    "unknown.step": "Kopieren Sie den ganzen Link aus der Nachricht, und versuchen Sie es noch einmal.",
    "used.head": "Dieser Link ist verbraucht",
    "used.words": "Ein Link gilt einmal, und mit diesem wurde entschieden.",
    "used.step": (
        "Waren Sie das, ist nichts mehr zu tun. Waren Sie es nicht, sagen Sie es sofort denen, die Casewright"
        " betreiben."
    ),
    "revoked.head": "Dieser Link wurde zurückgenommen",
    "revoked.words": "Er gilt nicht mehr. Mit ihm wurde nichts entschieden.",
    "revoked.step": "Entscheiden Sie in Prefect, oder fragen Sie, wer Casewright betreibt.",
    "expired.head": "Dieser Link ist abgelaufen",
    "expired.words": "Links gelten nur eine Zeit lang. Nichts wurde entschieden; vielleicht wartet die Aufgabe noch.",
    "expired.step": "Entscheiden Sie in Prefect, oder bitten Sie jemanden darum, der es kann.",
    "decided.head": "Es ist nichts mehr zu entscheiden",
    "decided.words": "Die Aufgabe wurde auf andere Weise entschieden, oder sie wartet gerade auf niemanden.",
    "decided.step": "Sie müssen nichts tun. Was daraus wurde, steht in Prefect.",
    "changed.head": "Die Frage hat sich geändert",
    "changed.words": "Gefragt wird jetzt etwas anderes als damals, darum entscheidet dieser Link nichts.",
    "changed.step": (
        "Ist es noch an Ihnen, haben Sie eine neue Nachricht oder bekommen sie noch. Oder entscheiden Sie in Prefect."
    ),
    "not_allowed.head": "Das lässt sich nicht per Link entscheiden",
    "not_allowed.words": "Dieser Link erlaubt diese Entscheidung nicht.",
    "not_allowed.step": "Entscheiden Sie in Prefect, oder fragen Sie, wer Casewright betreibt.",
    "to_prefect": "Prefect öffnen",
}
_PROBLEMS: Final = {
    "too_old": (
        "Diese Seite war zu alt oder kam von anderswo. Nichts wurde entschieden. Bitte entscheiden Sie noch einmal."
    ),
    "note_missing": "Eine Notiz ist nötig.",
    "why_missing": "Sagen Sie, warum es ausgelassen wird.",
    "code_missing": "Der Code gilt nicht mehr. Lassen Sie sich einen neuen senden.",
    "too_many_codes": (
        "Gerade wurde ein Code gesendet, oder zu viele in dieser Stunde. Sehen Sie nach, oder warten Sie."
    ),
    "no_other_channel": (
        "Auf keinem anderen Weg als dem dieses Links sind Sie zu erreichen, darum geht kein Code hinaus."
        " Entscheiden Sie in Prefect."
    ),
    "FourEyes": "Sie haben darum gebeten oder daran mitgewirkt. Darum muss jemand anderes entscheiden.",
    "NotApprover": "Ihre Rolle entscheidet darüber nicht mehr.",
    "NotYours": "Die Aufgabe gehört jetzt jemand anderem.",
    "PersonInactive": "Sie stehen nicht mehr auf der Liste derer, die Fälle bearbeiten.",
    "AlreadyApproved": "Sie haben es schon genehmigt; es muss noch jemand genehmigen.",
    "MandatoryTask": "Diese Aufgabe darf nicht ausgelassen werden.",
    "not_now": "So, wie es steht, lässt sich das nicht entscheiden.",
}
_WRONG: Final = {
    "wrong.404.head": "Diese Seite gibt es nicht",
    "wrong.404.words": "Unter dieser Adresse ist nichts.",
    "wrong.405.head": "Das geht hier nicht",
    "wrong.405.words": "Nichts wurde entschieden.",
    "wrong.408.head": "Das hat zu lange gedauert",
    "wrong.408.words": "Was Sie gesendet haben, kam nicht rechtzeitig an. Nichts wurde entschieden.",
    "wrong.413.head": "Das ist zu viel",
    "wrong.413.words": "So viel passt nicht in ein Formular. Nichts wurde entschieden. Kürzen Sie die Notiz.",
    "wrong.429.head": "Zu oft",
    "wrong.429.words": "Das wurde zu oft aufgerufen oder gesendet. Nichts wurde entschieden. Warten Sie eine Minute.",
    "wrong.500.head": "Das ging schief",
    "wrong.500.words": "Es liegt nicht an Ihnen. Nichts wurde entschieden.",
    "wrong.503.head": "Jetzt nicht",
    "wrong.503.words": "Die Datenbank ist überlastet oder nicht da. Nichts wurde entschieden.",
    "wrong.other.head": "Das wurde nicht angenommen",
    "wrong.other.words": "Es kam nicht so, wie diese Seite es sendet. Nichts wurde entschieden.",
    "wrong.step": "Versuchen Sie es gleich noch einmal, oder fragen Sie, wer Casewright betreibt.",
}
_CODES: Final = {
    "code.nothing": "Geben Sie den Code ein, der Ihnen gesendet wurde, oder lassen Sie sich einen senden.",
    "code.none_waits": "Für diese Aufgabe wartet kein Code von Ihnen.",
    "code.same_way": (
        "Der letzte Code kam per {channel}, auf demselben Weg wie der Link. Lassen Sie sich einen neuen senden;"
        " er kommt auf einem anderen."
    ),
    "code.expired": "Der Code ist zu alt.",
    "code.wrong": "Der Code ist falsch; Sie können es noch {left} Mal versuchen.",
    "code.too_often": "Der Code wurde zu oft falsch eingegeben und gilt nicht mehr.",
}
_ANSWERS: Final = {
    "answer.no_such_field": "Im Formular gibt es dieses Feld nicht; es hat {fields}",
    "answer.needed": "Eine Antwort ist nötig",
    "answer.needed_of": "Eine Antwort ist nötig, eine von: {options}",
    "answer.no_line": "Es muss eine Zeile lesbarer Text sein",
    "answer.no_option": "{value} ist keine von: {options}",
    "answer.no_yes_or_no": "Antworten Sie ja oder nein",
    "answer.no_number": "Es muss eine Zahl sein",
    "answer.no_date": "Es muss ein Datum sein wie 2026-01-31",
    "answer.no_moment": "Es muss Datum und Uhrzeit sein wie 2026-01-31T09:30",
    "answer.no_text": "Es muss Text sein",
    "answer.too_long": "Es sind {length} Zeichen; höchstens {limit} werden behalten",
    "answer.unkeepable": "Ein Zeichen darin lässt sich nicht behalten (NUL oder ein halbes Ersatzpaar)",
}

GERMAN: Final[Mapping[str, str]] = {
    **_PAGE,
    **_SEVERITIES,
    **_DECISIONS,
    **_ENDED,
    **_PROBLEMS,
    **_WRONG,
    **_CODES,
    **_ANSWERS,
}
