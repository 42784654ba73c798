// Opens, with an implementation that is not ours, what the page's script sealed.
// usage: node open.mjs DIR-OF-THE-PAGE; one JSON line out.
import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';

const page = process.argv[2];
const context = vm.createContext({ crypto, TextEncoder, TextDecoder, Uint8Array, ArrayBuffer, atob, btoa });
for (const name of ['canon.js', 'seal.js']) vm.runInContext(readFileSync(page + '/' + name, 'utf8'), context);
const seal = vm.runInContext('Hpke.seal', context);

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const pair = await suite.kem.generateKeyPair();
const key = new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey));
const out = [];
for (const size of [0, 1, 32, 64]) {
  const plain = crypto.getRandomValues(new Uint8Array(size));
  const info = crypto.getRandomValues(new Uint8Array(50));
  const message = await seal(key, info, plain);
  const open = async (i) => {
    const r = await suite.createRecipientContext({ recipientKey: pair.privateKey, enc: message.slice(0, 32).buffer, info: i.buffer });
    return new Uint8Array(await r.open(message.slice(32).buffer));
  };
  const same = Buffer.compare(Buffer.from(await open(info)), Buffer.from(plain)) === 0;
  const other = await open(info.map((b) => b ^ 1)).then(() => true, () => false);
  out.push({ size, opened: same, openedWithOtherInfo: other });
}
console.log(JSON.stringify(out));
