/**
 * What the console offers to begin with: cells, one behind the other.
 *
 * @type {{ name: string, cells: string[] }[]}
 */
export const EXAMPLES = [
  {
    name: "A group of two",
    cells: [
      `import asyncio, secrets
from mls_federation.browser import connect
from mls_federation.client import GroupJoined

joined = asyncio.Event()

def on_event_of_bob(event):
    print("Bob:", type(event).__name__)
    if isinstance(event, GroupJoined):
        joined.set()

number = secrets.token_hex(4)  # an identity can be claimed once
alice = await connect(f"alice-{number}@a.example", services, lambda event: print("Alice:", event))
bob = await connect(f"bob-{number}@b.example", services, on_event_of_bob)
alice.account.identity, bob.account.identity`,
      `group = await alice.create_group()
sent = await alice.add(group.group_id, bob.account.identity)
await joined.wait()
sent.deliveries`,
      `await bob.send(group.group_id, "Hello, Alice".encode())`,
      `details = alice.group_details(group.group_id)
print("epoch", details.epoch, "·", details.safety_number)
for member in details.members:
    print(member.leaf_index, member.identity)`,
    ],
  },
  {
    name: "Somebody’s keys",
    cells: [
      `import secrets
from mls_federation.browser import connect

carol = await connect(f"carol-{secrets.token_hex(4)}@c.example", services, print)
fetched = await carol.fetch_key_bundles(carol.account.identity)
[bundle] = fetched.bundles
bundle.cipher_suites`,
      `bundle.user_init_key`,
      `bundle.key_package.leaf_node.capabilities`,
    ],
  },
  {
    name: "Keys for a call",
    cells: [
      `import secrets
from mls_federation.browser import connect
from mls_federation.media import srtp_profile

dora = await connect(f"dora-{secrets.token_hex(4)}@a.example", services, lambda event: None)
group = await dora.create_group()
dora.export_srtp_keys(group.group_id, srtp_profile("AEAD_AES_128_GCM"))`,
      `await dora.update(group.group_id)
dora.export_secret(group.group_id, "my application", b"context", 32).hex()`,
    ],
  },
  {
    name: "The engine alone",
    cells: [
      `from mls_federation.browser.provider import choose_provider
from mls_federation.crypto import CipherSuite

provider = choose_provider("auto")
provider.name, [suite for suite in range(1, 8) if provider.supports(CipherSuite(suite))]`,
      `from __future__ import annotations
from mls_federation.codec import Struct, opaque, uint16

class Greeting(Struct):
    number: uint16
    text: opaque

octets = Greeting(number=7, text=b"hello").encode()
print(octets.hex())
Greeting.decode(octets)`,
      `Greeting.decode(octets + b"!")  # one octet too many is an error`,
    ],
  },
];
