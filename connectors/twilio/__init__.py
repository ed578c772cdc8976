"""The telephone connector: Twilio's REST API out, its signed webhooks in, and a stand-in network for demo and tests.

`sending` is the Sender, `webhooks` the routes, `twiml` the words of a call as Twilio wants them, `signature` the
proof that a webhook is Twilio's, `statuses` its vocabulary in ours. `network` and `standin` are the telephones of
the demo and the tests: they speak Twilio's protocol and never leave the machine.
"""
