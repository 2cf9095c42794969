"""The npm package, as somebody gets it who installs it: its contents, its types, and a site begun from it."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from dev import environment, package
from dev.environment import Environment
from dev.steps import ROOT

# Every public class and member, with what a program in TypeScript does with it.
_PROGRAM = """
import { Client, Group, MLSError, MLSFederation } from "mls-federation";
import type { SelfTestResult } from "mls-federation";
import type { Account, Delivery, Device, GroupChange, GroupDetails, KeyBundle, Progress, SrtpKeys } from "mls-federation/protocol.js";
import { MLS, MLSGroupView } from "mls-federation/mls.js";
import "mls-federation/mls-polyfill.js";
import { install, type Pyodide } from "mls-federation/python.js";
import { MediaKeys, keyIdOf, receivingKey, sdesKeyParams, senderOf, sendingKey } from "mls-federation/media-keys.js";
import type { EpochMediaKeys, SFrameKeys, SFrameSender } from "mls-federation/protocol.js";
import { FrameReceiver, FrameSender, SFRAME_CIPHER_SUITES, SFrameKey, decodeHeader, deriveKey, encodeHeader } from "mls-federation/sframe.js";

export async function useAll(pyodide: Pyodide, signal: AbortSignal): Promise<void> {
  const mls: MLSFederation = await MLSFederation.load({
    crypto: "auto",
    base: "/mls-federation/",
    pyodide: "/pyodide/",
    snapshot: false,
    onprogress: ({ stage, received, total }: Progress) => console.log(stage, received / total),
    signal,
  });
  const chosen: "pyca" | "webjs" = mls.crypto;
  const startedFrom: "files" | "snapshot" = mls.startedFrom;
  const registration: ServiceWorkerRegistration = await MLSFederation.registerServiceWorker({ also: ["/"] });
  const { versions } = await mls.setDeliveryService("a.example", "https://a.example", { signal });
  const client: Client = await mls.createClient({ identity: "alice@a.example", fanout: "server", signal });
  const device: Client = await mls.createDevice({ identity: "alice@a.example" });
  const results: SelfTestResult[] = await mls.selfTest({ "a.json": "[]" });
  const id: Uint8Array = await client.admitDevice(await device.deviceRequest());
  await device.register();
  const devices: Device[] = await client.devices();
  const left: Group[] = await client.revokeDevice(id);
  await client.setFanout("client");
  await client.clearLogFault("b.example");
  const [bundle]: KeyBundle[] = await client.fetchKeyBundles("bob@b.example");
  const group: Group = await client.createGroup({ cipherSuite: 1, ordering: "members" });
  const change: GroupChange = await group.add("bob@b.example");
  await group.remove("bob@b.example");
  await group.removeDevice("bob@b.example", id);
  await group.update();
  const details: GroupDetails = await group.details();
  const epoch: bigint = (await group.send("hello")).epoch;
  const keys: SrtpKeys[] = await group.exportSrtpKeys({ profile: "AEAD_AES_128_GCM" });
  const sframeKeys: SFrameKeys = await group.exportSFrameKeys();
  const key: SFrameKey = await sendingKey(sframeKeys, await group.reserveSFrameContext());
  const frames = new FrameSender(key);
  const media = new MediaKeys(group, { overlap: 5000, srtp: ["AEAD_AES_128_GCM"] });
  const held: EpochMediaKeys | undefined = media.current ?? media.keysOf(key.keyId);
  const receiver = new FrameReceiver({ window: 100, find: (keyId) => receivingKey(held, keyId) });
  receiver.set(await deriveKey({ ...sframeKeys, keyId: keyIdOf(sframeKeys, 1) }));
  const octets: Uint8Array<ArrayBuffer> = new Uint8Array(frames.sizeOf(3));
  const written: Uint8Array<ArrayBuffer> = await frames.protect(Uint8Array.of(1, 2, 3), undefined, octets);
  const opened: { frame: Uint8Array<ArrayBuffer>; counter: bigint } = await receiver.unprotect(written);
  const who: SFrameSender | undefined = senderOf(sframeKeys, decodeHeader(encodeHeader(key.keyId, frames.counter)).keyId);
  console.log(opened.frame.buffer.byteLength, opened.counter, who?.identity, SFRAME_CIPHER_SUITES[key.cipherSuite].Nt);
  for (const one of held?.srtp?.AEAD_AES_128_GCM ?? []) console.log(sdesKeyParams(one));
  media.close();
  const secret: Uint8Array = await group.exportSecret("label", new Uint8Array(), 32);
  const [kept]: Account[] = await mls.accounts();
  if (kept !== undefined) await mls.openClient(kept.account, { signal });
  await mls.importAccount(await client.exportAccount("passphrase"), "passphrase");
  await mls.deleteAccount(client.account ?? "");
  console.log(await mls.persist(), client.registered, client.leads);
  console.log(await mls.decode(id), await mls.ratchetTree(await group.exportRatchetTree()));
  const waiting: Delivery[] = await client.flush();
  // @ts-expect-error - no such profile
  await group.exportSrtpKeys({ profile: "NULL" });
  try {
    await client.close();
  } catch (error) {
    if (error instanceof MLSError) console.log(error.code, error.details, error.message);
  }
  mls.dispose();
  await install(pyodide);
  console.log(chosen, startedFrom, registration, versions, results, devices, left, bundle, change, details, epoch, keys, secret, waiting);
  console.log(client.identity, client.fingerprint, client.clientId, client.fanout, client.groups, group.id);
}

export async function useFacade(federation: MLSFederation, octets: Uint8Array): Promise<void> {
  await MLS.load();
  MLS.use(federation);
  const mls = new MLS();
  const [client, credential] = [await mls.generateIdentity(), await mls.generateCredential("alice")];
  const keyPackage = await mls.generateKeyPackage(client, credential);
  const view: MLSGroupView = await mls.groupCreate(client, credential);
  const { commit, welcome } = await view.add(keyPackage);
  if (commit !== undefined) await view.receive(commit);
  if (welcome !== undefined) await mls.groupJoin(client, welcome);
  console.log(await mls.groupGet(view.groupId, view.clientId), await view.details(), await view.inspect());
  console.log(await mls.getGroupIdFromMessage(octets), await mls.getGroupEpochFromMessage(octets));
  await view.send("hello");
  await view.proposeAdd(octets);
  await view.proposeRemove(octets);
  await view.remove(octets);
  if (await view.hasPendingProposals()) await view.clearPendingProposals();
  if (await view.hasPendingCommit()) await view.clearPendingCommit();
  await view.applyPendingCommit();
  const { secret } = await view.exportSecret("label", octets, 32);
  await view.close();
  await view.deleteState();
  await mls.deleteState();
  console.log(secret);
}
"""

# For the module alone.
_INTERNAL = {"constructor"}


@pytest.fixture(scope="module")
def ready() -> Environment:
    return environment.prepare(development=True)


@pytest.fixture(scope="module")
def installed(ready: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh folder in which somebody has installed the archive, without a network."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "package.json").write_text('{ "private": true, "type": "module" }')
    archive = package.build(ready)
    command = [
        *ready.node.npm,
        "install",
        "--offline",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        str(archive),
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_it_is_described_rightly(installed: Path) -> None:
    folder = installed / "node_modules" / "mls-federation"
    described = json.loads((folder / "package.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert described["version"] == project["version"]
    # All that the module needs of others is in it: nothing else is installed with it.
    assert "dependencies" not in described
    assert "private" not in described
    assert [one.name for one in (installed / "node_modules").iterdir() if not one.name.startswith(".")] == [
        "mls-federation"
    ]
    for target in described["exports"].values():
        for file in target.values() if isinstance(target, dict) else [target]:
            assert (folder / file).is_file(), file
    assert (folder / "LICENSE").is_file()


def test_its_types_cover_what_is_public(ready: Environment, installed: Path) -> None:
    (installed / "program.ts").write_text(_PROGRAM)
    command = [ready.node.program, ROOT / "web/node_modules/typescript/bin/tsc", "--noEmit", "--strict"]
    command += ["--target", "es2023", "--lib", "es2023,dom,dom.iterable"]
    command += ["--module", "nodenext", "--noUnusedLocals", "program.ts"]

    done = subprocess.run(
        [str(part) for part in command], cwd=installed, check=False, capture_output=True, text=True
    )

    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
    module = installed / "node_modules/mls-federation/module"
    for file, classes, least in (
        ("index.d.ts", ["MLSFederation", "Client", "MLSError", "Group"], 30),
        ("mls.d.ts", ["MLS", "MLSGroupView"], 20),
    ):
        (declared,) = module.glob(f"*/{file}")
        types = declared.read_text()
        # With what it exports again of others.
        for other in re.findall(r'^export \{ \w+ \} from "\./(\w+)\.js";$', types, re.MULTILINE):
            types += (declared.parent / f"{other}.d.ts").read_text()
        assert re.findall(r"^export declare class (\w+)", types, re.MULTILINE) == classes
        types = re.sub(r"^declare class .*?^}", "", types, flags=re.MULTILINE | re.DOTALL)
        members = set(re.findall(r"^    (?:static |get )?(\w+)\(", types, re.MULTILINE)) - _INTERNAL
        assert len(members) > least
        assert {name for name in members if not re.search(rf"\.{name}\b", _PROGRAM)} == set()


def test_a_site_is_begun_in_a_new_folder_only(ready: Environment, installed: Path, tmp_path: Path) -> None:
    command = [ready.node.program, installed / "node_modules/.bin/mls-federation"]

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], check=False, capture_output=True, text=True)

    assert call("start", tmp_path / "site").returncode == 0
    assert (tmp_path / "site" / "index.html").is_file()
    assert len(list((tmp_path / "site" / "mls-federation").glob("pyodide-*/pyodide.asm.wasm"))) == 1

    again = call("start", tmp_path / "site")
    assert again.returncode == 1
    assert "is not empty" in again.stderr
    assert call("begin").returncode == 2
