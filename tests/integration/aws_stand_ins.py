"""STS, the EC2 metadata service and the agent of EKS Pod Identity on loopback, as their documentation says.

They hand out keys that the strict peer then accepts; each of them can be late, or refuse.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from attrs import define, field

ROLE = "arn:aws:iam::123456789012:role/backup"


_ERROR = "<E><Error><Code>{}</Code><Message>wait</Message></Error></E>"
_TROUBLES = {"400": web.HTTPBadRequest, "429": web.HTTPTooManyRequests, "503": web.HTTPServiceUnavailable}


@define
class Aws:
    """All three at one address."""

    url: str = ""
    accepted: dict[str, str] = field(factory=dict)
    """Session token by access key, of all that were handed out and are still good."""
    lifetime: timedelta = timedelta(hours=1)
    refusals: int = 0
    """So many further requests get an error."""
    troubles: list[str] = field(factory=list)
    """What happens to the next requests: a status or `silent`. Each happens once."""
    web_tokens: list[str] = field(factory=list)
    """Web identity tokens as they came in."""
    agent_token: str = "agent"
    asked: list[str] = field(factory=list)
    """Method and path of each request."""

    def _keys(self) -> tuple[str, str, str, str]:
        number = len(self.accepted)
        self.accepted[f"AKIA{number}"] = f"token{number}"
        until = (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"AKIA{number}", "secret", f"token{number}", until

    def _refuses(self) -> bool:
        self.refusals -= 1
        return self.refusals >= 0

    async def _trouble(self) -> None:
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "silent":
            await asyncio.Event().wait()
        if trouble:
            raise _TROUBLES[trouble](text=_ERROR.format("Throttling" if trouble == "400" else "Other"))

    async def sts(self, request: web.Request) -> web.Response:
        """AssumeRoleWithWebIdentity."""
        form = await request.post()
        self.asked.append(f"STS {form.get('Action')!s}")
        await self._trouble()
        assert form["RoleArn"] == ROLE
        assert "Authorization" not in request.headers
        self.web_tokens.append(str(form["WebIdentityToken"]))
        if self._refuses():
            text = "<E><Error><Code>AccessDenied</Code><Message>not trusted</Message></Error></E>"
            return web.Response(status=403, text=text, content_type="text/xml")
        key, secret, token, until = self._keys()
        text = (
            "<R><AssumeRoleWithWebIdentityResult><AssumedRoleUser><AssumedRoleId>x</AssumedRoleId>"
            f"<Arn>arn:aws:sts::123456789012:assumed-role/backup/x</Arn></AssumedRoleUser><Credentials>"
            f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{until}</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></R>"
        )
        return web.Response(text=text, content_type="text/xml")

    async def metadata(self, request: web.Request) -> web.Response:
        """As kube2iam answers: no tokens of version 2, a role that is known only after a while."""
        self.asked.append(f"{request.method} {request.path}")
        await self._trouble()
        if request.method == "PUT":
            return web.Response(status=405)
        if self._refuses():
            return web.Response(status=500, text="no role for this pod")
        if request.path.endswith("/security-credentials/"):
            return web.Response(text="backup")
        return web.json_response(self._document("Code"))

    async def agent(self, request: web.Request) -> web.Response:
        """EKS Pod Identity."""
        self.asked.append("agent")
        await self._trouble()
        if request.headers.get("Authorization") != self.agent_token:
            return web.Response(status=401, text="wrong token")
        return web.json_response(self._document("AccountId"))

    def _document(self, more: str) -> dict[str, str]:
        key, secret, token, until = self._keys()
        found = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": until}
        return found | {more: "Success"}

    def service_account(self, token: Path) -> dict[str, str]:
        """What the webhook of IRSA puts into a pod."""
        return {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}

    def pod_identity(self, token: Path) -> dict[str, str]:
        """What EKS Pod Identity puts into a pod."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        }


@asynccontextmanager
async def aws_stand_ins() -> AsyncIterator[Aws]:
    """Start them on a free port."""
    aws = Aws()
    app = web.Application()
    app.router.add_post("/", aws.sts)
    app.router.add_route("*", "/latest/{any:.*}", aws.metadata)
    app.router.add_get("/v1/credentials", aws.agent)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        aws.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield aws
    finally:
        await runner.cleanup()
