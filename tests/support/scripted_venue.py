"""A venue on loopback that answers from a script, counts what it was sent, and misbehaves on demand."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, parse_qsl

from aiohttp import web

FAULTS = {}


def fault(function):
    """Register a way to misbehave after the request has been taken."""
    FAULTS[function.__name__] = function
    return function


@fault
async def no_answer(_request):
    await asyncio.sleep(3)
    return web.Response(text="too late")


@fault
async def connection_closed(request):
    request.transport.close()
    return web.Response()


@fault
async def connection_reset(request):
    request.transport.abort()
    return web.Response()


@fault
async def short_body(request):
    response = web.StreamResponse(headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"error":[],"result":')
    request.transport.close()
    return response


@fault
async def bad_gzip(_request):
    return web.Response(body=b"this is not gzip", headers={"Content-Encoding": "gzip"})


@fault
async def garbage(request):
    request.transport.write(b"\x00\x01garbage\r\n\r\n")
    request.transport.close()
    return web.Response()


@fault
async def huge_body(_request):
    return web.Response(body=b'{"error":["' + b"x" * 2_000_000 + b'"]}')


@fault
async def empty_ok(_request):
    return web.Response(body=b"")


@fault
async def null_ok(_request):
    return web.Response(body=b"null")


@fault
async def html_ok(_request):
    return web.Response(text="<html>maintenance</html>", content_type="text/html")


@fault
async def cut_json(_request):
    return web.Response(body=b'{"error":[],"result":{"txid":["OQ7')


@fault
async def redirect_302(request):
    return web.Response(status=302, headers={"Location": str(request.url.with_path("/elsewhere"))})


@fault
async def redirect_307(request):
    return web.Response(status=307, headers={"Location": str(request.url.with_path("/elsewhere"))})


def _status_fault(code):
    async def answer(_request):
        return web.Response(status=code, text="<html>proxy</html>", content_type="text/html")

    FAULTS[f"status_{code}"] = answer


for _code in (400, 403, 404, 408, 409, 418, 422, 425, 429, 500, 502, 503, 504, 520, 524, 530):
    _status_fault(_code)


class ScriptedVenue:
    """Answers by path. `script[path]` is a value, or a function of the request's fields; `faults[path]` goes first."""

    def __init__(self):
        self.script, self.faults, self.seen, self.url = {}, {}, [], ""

    def bodies(self, path):
        """Return the raw bodies sent to a path."""
        return [body for seen, body, _ in self.seen if seen == path]

    def fields(self, path):
        """Return the fields sent to a path, of query or form."""
        return [fields for seen, _, fields in self.seen if seen == path]

    async def handle(self, request):
        body = await request.read()
        if request.content_type == "application/json" and body:
            fields = json.loads(body)
        elif body:
            fields = dict(parse_qsl(body.decode()))
        else:
            fields = {
                name: values if len(values) > 1 else values[0]
                for name, values in parse_qs(request.query_string).items()
            }
        self.seen.append((request.path, body, fields))
        if request.path in self.faults:
            return await FAULTS[self.faults[request.path]](request)
        if request.path not in self.script:
            return web.Response(status=404, text="no such path in the script")
        answer = self.script[request.path]
        if callable(answer):
            answer = answer(fields)
        if isinstance(answer, web.Response):
            return answer
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")


@asynccontextmanager
async def serving(venue):
    """Serve a scripted venue on a free loopback port."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", venue.handle)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield venue
    finally:
        await runner.cleanup()
