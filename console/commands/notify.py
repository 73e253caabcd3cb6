"""`casewright notify`: see whether messages arrive."""

from cyclopts import App

from console.commands.notify_test import send_test

app = App(name="notify", help="See whether messages arrive.")
app.command(send_test, name="test")
