"""Answers of servers that are not S3 but stand where S3 should: what each sends to every request.

Knows no operation of ours.
"""

from aiohttp import web
from attrs import frozen


@frozen
class Impostor:
    """What it sends, whatever it is asked."""

    status: int
    body: str = ""
    content_type: str = "text/html"
    headers: tuple[tuple[str, str], ...] = ()

    def answer(self) -> web.Response:
        """One answer."""
        return web.Response(
            status=self.status, text=self.body, content_type=self.content_type, headers=dict(self.headers)
        )


PAGE = "<!DOCTYPE html><html><head><title>nginx</title></head><body><hr>default backend</body></html>"
NEAT = "<html><body><h1>Service</h1></body></html>"
XML = "application/xml"

IMPOSTORS = {
    "html-404": Impostor(404, PAGE),
    "well-formed-html-404": Impostor(404, NEAT),
    "empty-404": Impostor(404, ""),
    "text-404": Impostor(404, "default backend - 404", "text/plain"),
    "json-404": Impostor(404, '{"Error": {"Code": "NoSuchKey"}}', "application/json"),
    "other-xml-404": Impostor(404, "<Error><Code>BlobNotFound</Code><Message>m</Message></Error>", XML),
    "other-root-404": Impostor(404, "<fault><code>NoSuchKey</code></fault>", XML),
    "xml-without-code-404": Impostor(404, "<Error><Message>gone</Message></Error>", XML),
    "s3-words-404-in-200": Impostor(200, "<Error><Code>NoSuchKey</Code></Error>", XML),
    "html-410": Impostor(410, PAGE),
    "html-502": Impostor(502, PAGE),
    "neat-html-502": Impostor(502, NEAT),
    "empty-503": Impostor(503),
    "html-503": Impostor(503, PAGE),
    "html-504": Impostor(504, PAGE),
    "redirect-301": Impostor(301, PAGE, headers=(("Location", "https://elsewhere.test/"),)),
    "redirect-302": Impostor(302, PAGE, headers=(("Location", "https://elsewhere.test/login"),)),
    "redirect-307": Impostor(307, "", headers=(("Location", "https://elsewhere.test/"),)),
    "redirect-308": Impostor(308, PAGE, headers=(("Location", "https://elsewhere.test/"),)),
    "html-200": Impostor(200, PAGE),
    "neat-html-200": Impostor(200, NEAT),
    "empty-200": Impostor(200),
}
