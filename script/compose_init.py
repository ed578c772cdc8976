"""Secrets, certificates and a first configuration for compose.yaml; see script/compose-init.

Never overwrites: run again it adds what is missing. Each secret is a file of its own, readable by the one account that
needs it when root runs this, else by whoever comes past the folder, which is ours alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import secrets
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from config.tokens import hash_token  # noqa: E402 - the script is not in the package

TEMPLATE = ROOT / "config" / "compose" / "callwatch.toml"
CALLWATCH, MOSQUITTO, REDIS, PROMETHEUS, GRAFANA = 10_001, 1883, 999, 65_534, 472
"""The accounts inside the containers (compose.yaml, Dockerfile)."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
CERTIFICATE_DAYS, CA_DAYS, TOKEN_DAYS = 800, 3650, 730


class Deploy:
    """The folder, and what was written into it now."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secrets = folder, folder / "secrets"
        folder.mkdir(exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        self.new: list[str] = []

    def secret(self, name: str, owner: int, make: Callable[[], str]) -> str:
        """The content of a secret; made now when it is not there."""
        file = self.secrets / name
        if not file.exists():
            self.new.append(name)
            self._write(file, owner, make())
        return file.read_text().strip()

    def _write(self, file: Path, owner: int, text: str) -> None:
        as_root = os.geteuid() == 0
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(text + "\n" if text else "")
        if as_root:
            os.chown(file, owner, owner)
        file.chmod(0o400 if as_root else 0o444)


def password() -> str:
    """128 bits, without what a shell or a file format would read otherwise."""
    return secrets.token_hex(16)


def mosquitto_line(name: str, secret: str) -> str:
    """A line of a password file of Mosquitto 2: PBKDF2 with SHA-512, as mosquitto_passwd writes it."""
    salt, rounds = secrets.token_bytes(12), 101
    key = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, rounds)
    return f"{name}:$7${rounds}${b64encode(salt).decode()}${b64encode(key).decode()}"


def redis_users(secret: str) -> str:
    """callwatch does what a store needs; the health check may ask whether somebody is there."""
    digest = hashlib.sha256(secret.encode()).hexdigest()
    # @write alone holds FLUSHALL
    may = "+@read +@write +@scripting +@connection -@dangerous +info +config|get +bgrewriteaof"
    return "\n".join(
        [
            "user default off resetchannels -@all",
            "user health on nopass resetchannels -@all +ping",
            f"user callwatch on #{digest} resetchannels ~callwatch:* {may}",
        ]
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    plain = serialization.NoEncryption()
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, plain).decode().strip()


def _certificate(
    name: str, public: ec.EllipticCurvePublicKey, by: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - timedelta(hours=1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "callwatch broker CA")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=days))
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    return builder.add_extension(identifier, critical=False).add_extension(authority, critical=False)


def certificates(host: str) -> dict[str, str]:
    """A certificate for the broker under its name outside and its name between containers, and who vouches for it."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = _certificate("callwatch broker CA", ca_key.public_key(), ca_key, CA_DAYS)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(usage, critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in (host, "mosquitto", "localhost")])
    server = _certificate(host, key.public_key(), ca_key, CERTIFICATE_DAYS).add_extension(
        names, critical=False
    )
    server = server.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    as_text = serialization.Encoding.PEM
    return {
        "ca": ca.sign(ca_key, hashes.SHA256()).public_bytes(as_text).decode().strip(),
        "cert": server.sign(ca_key, hashes.SHA256()).public_bytes(as_text).decode().strip(),
        "key": _pem(key),
    }


def broker(deploy: Deploy, host: str) -> None:
    """All of a pair of certificate and key, or none of it."""
    made = certificates(host)
    ca = deploy.secret("mosquitto_ca", MOSQUITTO, lambda: made["ca"])
    if ca == made["ca"]:
        for name in ("mosquitto_cert", "mosquitto_key"):
            (deploy.secrets / name).unlink(missing_ok=True)
        (deploy.secrets / "broker_ca").unlink(missing_ok=True)
    deploy.secret("mosquitto_cert", MOSQUITTO, lambda: made["cert"])
    deploy.secret("mosquitto_key", MOSQUITTO, lambda: made["key"])
    deploy.secret("broker_ca", CALLWATCH, lambda: ca)
    own = deploy.secret("mqtt_password", CALLWATCH, password)
    deploy.secret("mosquitto_passwd", MOSQUITTO, lambda: mosquitto_line("callwatch", own))


def configuration(deploy: Deploy, host: str, operator: str) -> None:
    """deploy/callwatch.toml, and the board's password on stdout: it is nowhere else."""
    file = deploy.folder / "callwatch.toml"
    if file.exists():
        return
    board = password()
    expires = (datetime.now(UTC) + timedelta(days=TOKEN_DAYS)).replace(microsecond=0)
    filled = TEMPLATE.read_text()
    for name, value in {
        "HOST": host,
        "PASSWORD_HASH": argon2.PasswordHasher().hash(board),
        "OPERATOR_HASH": hash_token(operator),
        "EXPIRES": expires.isoformat().replace("+00:00", "Z"),
    }.items():
        filled = filled.replace(f"@{name}@", value)
    file.write_text(filled)
    if os.geteuid() == 0:
        os.chown(file, 0, CALLWATCH)
        file.chmod(0o640)
    deploy.new.append("callwatch.toml")
    print(f"The board's password, shown once: {board}")


def everything(deploy: Deploy, host: str) -> None:
    """What compose.yaml mounts."""
    broker(deploy, host)
    store = deploy.secret("redis_password", CALLWATCH, password)
    deploy.secret("redis_acl", REDIS, lambda: redis_users(store))
    operator = deploy.secret("callwatch_operator", CALLWATCH, lambda: f"cw_{secrets.token_urlsafe(32)}")
    deploy.secret("prometheus_operator", PROMETHEUS, lambda: operator)
    deploy.secret("grafana_admin", GRAFANA, password)
    deploy.secret("twilio_token", CALLWATCH, str)
    configuration(deploy, host, operator)


def device(deploy: Deploy, name: str) -> int:
    """One more line of the broker's passwords; in place, because the container holds this very file."""
    file = deploy.secrets / "mosquitto_passwd"
    if not file.exists():
        print("compose-init: first --host NAME", file=sys.stderr)
        return 2
    if any(line.startswith(f"{name}:") for line in file.read_text().splitlines()):
        print(f"compose-init: {name} has a password; take its line out of {file} first", file=sys.stderr)
        return 1
    secret = password()
    mode = file.stat().st_mode
    file.chmod(0o600)
    with file.open("a") as opened:
        opened.write(mosquitto_line(name, secret) + "\n")
    file.chmod(mode)
    print(secret)
    return 0


def _name(text: str) -> str:
    if not NAME.fullmatch(text) or text == "callwatch":
        raise argparse.ArgumentTypeError("expected letters, digits, - . and _, and not callwatch's own name")
    return text


def main() -> int:
    """0 done, 1 refused, 2 usage."""
    parser = argparse.ArgumentParser(prog="script/compose-init", description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--host", type=_name, help="the name under which phones and people reach this machine")
    what.add_argument("--device", type=_name, help="one more device may sign in at the broker, by this name")
    parser.add_argument("--folder", type=Path, default=ROOT / "deploy")
    args = parser.parse_args()
    deploy = Deploy(args.folder)
    if args.device:
        return device(deploy, args.device)
    everything(deploy, args.host)
    print(f"written into {deploy.folder}: {', '.join(deploy.new) or 'nothing new'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
