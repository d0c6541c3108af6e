import json
import shutil
import ssl
import stat
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.pki import run_pki
from reconciler.model.errors import Refused
from reconciler.runtime import clock, pki
from reconciler.runtime.pki import Credentials, Identity, Role
from tests.runtime.members import authority, member


@pytest.fixture
def shop(tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(authority(), tmp_path / "shop")


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_keys_are_private_and_certificates_are_public(shop):
    fresh = shop.parent / "fresh"
    pki.create_authority(fresh, cluster="shop")
    pki.issue(fresh, Role.AGENT, "alpha")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in fresh.iterdir()}
    assert modes == {
        "ca.crt": 0o644,
        "ca.key": 0o600,
        "agent-alpha.crt": 0o644,
        "agent-alpha.key": 0o600,
    }
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700


def test_a_certificate_lives_thirty_days_and_tolerates_a_clock_an_hour_behind():
    held = certificate(authority() / "agent-alpha.crt")
    now = clock.utc()
    assert timedelta(days=29, hours=23) < held.not_valid_after_utc - now <= timedelta(days=30)
    assert now - held.not_valid_before_utc >= timedelta(minutes=59)


@pytest.mark.parametrize(("role", "server"), [("agent", False), ("controller", True)])
def test_openssl_itself_accepts_the_chain_strictly_and_for_the_right_purpose(role, server):
    name = {"agent": "agent-alpha.crt", "controller": "controller-main.crt"}[role]
    for purpose, allowed in (("sslclient", True), ("sslserver", server)):
        result = subprocess.run(
            [
                *("openssl", "verify", "-x509_strict", "-purpose", purpose),
                *("-CAfile", authority() / "ca.crt", authority() / name),
            ],
            capture_output=True,
            check=False,
        )
        assert (result.returncode == 0) is allowed, result.stderr


def test_nothing_is_ever_overwritten(shop):
    before = {path.name: path.read_bytes() for path in shop.iterdir()}
    with pytest.raises(Refused, match="there already"):
        pki.create_authority(shop, cluster="shop")
    with pytest.raises(Refused, match="there already"):
        pki.issue(shop, Role.AGENT, "alpha")
    assert {path.name: path.read_bytes() for path in shop.iterdir()} == before


def test_an_authority_is_not_made_where_others_may_write(tmp_path):
    tmp_path.chmod(0o770)
    with pytest.raises(Refused, match="others may write"):
        pki.create_authority(tmp_path, cluster="shop")
    assert list(tmp_path.iterdir()) == []


def test_a_renewal_keeps_the_key_and_changes_one_file(shop):
    before = {path.name: path.read_bytes() for path in shop.iterdir()}
    pki.renew(shop, Role.AGENT, "alpha", days=60)
    after = {path.name: path.read_bytes() for path in shop.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"agent-alpha.crt"}
    held = certificate(shop / "agent-alpha.crt")
    assert held.not_valid_after_utc - clock.utc() > timedelta(days=59)
    Credentials.load(shop, Role.AGENT, "alpha")


def test_a_renewal_of_somebody_else_s_certificate_is_refused(shop):
    shutil.copy(shop / "agent-alpha.crt", shop / "controller-sly.crt")
    with pytest.raises(Refused, match="which is not controller sly"):
        pki.renew(shop, Role.CONTROLLER, "sly")
    with pytest.raises(Refused, match="no such certificate"):
        pki.renew(shop, Role.AGENT, "nobody")


def test_another_cluster_s_key_cannot_sign_here(shop):
    shutil.copy(authority("bank") / "ca.key", shop / "ca.key")
    with pytest.raises(Refused, match="not the key of the authority beside it"):
        pki.issue(shop, Role.AGENT, "bravo")


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "-rf", ".hidden", "a" * 129, "a\0b", "a b", "é"]
)
def test_names_that_could_mean_something_else_are_refused(shop, name):
    with pytest.raises(Refused, match="a name is letters"):
        pki.issue(shop, Role.AGENT, name)
    with pytest.raises(Refused, match="a name is letters"):
        pki.create_authority(shop / "new", cluster=name)
    with pytest.raises(Refused):
        Credentials.load(shop, Role.AGENT, name)
    assert not (shop / "new").exists()


def test_credentials_say_what_is_wrong_with_them(shop):
    with pytest.raises(Refused, match="no such file"):
        Credentials.load(shop, Role.AGENT, "nobody")
    (shop / "agent-alpha.key").chmod(0o640)
    with pytest.raises(Refused, match="others may read this key"):
        Credentials.load(shop, Role.AGENT, "alpha")
    shutil.copy(shop / "operator-olga.key", shop / "agent-alpha.key")
    (shop / "agent-alpha.key").chmod(0o600)
    with pytest.raises(Refused, match="cannot be used"):
        Credentials.load(shop, Role.AGENT, "alpha")
    (shop / "ca.crt").write_text("rubbish")
    with pytest.raises(Refused, match="not a certificate"):
        Credentials.load(shop, Role.CONTROLLER, "main")
    shutil.copy(shop / "agent-alpha.crt", shop / "ca.crt")
    with pytest.raises(Refused, match="not the one authority"):
        Credentials.load(shop, Role.CONTROLLER, "main")


def test_an_operator_need_not_say_their_name_while_there_is_one(shop):
    assert Credentials.sole(shop, Role.OPERATOR).identity.name == "olga"
    pki.issue(shop, Role.OPERATOR, "otto")
    with pytest.raises(Refused, match="found"):
        Credentials.sole(shop, Role.OPERATOR)


def test_contexts_speak_nothing_older_than_tls_1_3_and_resume_nothing():
    for server in (True, False):
        context = member(Role.CONTROLLER).tls(server=server)
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert member(Role.CONTROLLER).tls(server=True).num_tickets == 0


@given(
    st.sampled_from(Role),
    *(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True),) * 2,
)
def test_an_identity_reads_back(role, cluster, name):
    identity = Identity(cluster=cluster, role=role, name=name)
    assert Identity.parse(identity.uri) == identity


@given(
    st.text()
    | st.lists(st.sampled_from(["reconciler:", "/", "agent", "shop", "..", "%", "?", ""])).map(
        "/".join
    )
)
def test_any_other_text_is_no_identity(text):
    try:
        identity = Identity.parse(text)
    except Refused:
        return
    assert identity.uri == text


@pytest.mark.parametrize(
    "uri",
    [
        "reconciler://shop/agent",
        "reconciler://shop/agent/alpha/",
        "reconciler://shop/agent/../alpha",
        "reconciler://shop/root/alpha",
        "reconciler:///agent/alpha",
        "reconciler://shop/agent/",
        "reconciler://shop/agent/alpha\n",
        "RECONCILER://shop/agent/alpha",
        "http://shop/agent/alpha",
    ],
)
def test_near_misses_are_no_identity(uri):
    with pytest.raises(Refused):
        Identity.parse(uri)


def test_the_commands_work_one_after_the_other(tmp_path, capsys):
    directory = tmp_path / "pki"
    assert run_pki("init", directory, cluster="shop") == 0
    assert run_pki("issue", directory, role="agent", name="alpha") == 0
    assert run_pki("renew", directory, role="agent", name="alpha", days=90) == 0
    capsys.readouterr()
    assert run_pki("show", directory, form="json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(one["subject"], one["state"]) for one in shown["certificates"]] == [
        ("reconciler://shop", "valid"),
        ("reconciler://shop/agent/alpha", "valid"),
    ]
    assert run_pki("show", directory) == 0
    assert "reconciler://shop/agent/alpha" in capsys.readouterr().out


def test_show_warns_when_a_certificate_has_expired(shop, capsys):
    pki.renew(shop, Role.AGENT, "alpha", days=0)
    assert run_pki("show", shop) == 1
    printed = capsys.readouterr()
    assert "expired" in printed.out
    assert "reconcile pki renew" in printed.err
