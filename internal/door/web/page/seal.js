'use strict';
// One HPKE message (RFC 9180, base mode) with WebCrypto alone: DHKEM(X25519,
// HKDF-SHA256), HKDF-SHA256, AES-256-GCM. It can only seal.

const Hpke = (() => {
  const { join, utf8 } = Canon;
  const none = new Uint8Array(0);
  const u16 = (n) => Uint8Array.of(n >> 8, n & 255);
  const kem = join(utf8('KEM'), u16(0x0020));
  const suite = join(utf8('HPKE'), u16(0x0020), u16(0x0001), u16(0x0002));

  // A key shorter than HMAC's block is padded with zeros, so 32 of them are the
  // empty key, which WebCrypto refuses.
  const hmac = async (key, data) => {
    const k = await crypto.subtle.importKey('raw', key.length ? key : new Uint8Array(32), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    return new Uint8Array(await crypto.subtle.sign('HMAC', k, data));
  };
  const extract = (id, salt, label, ikm) => hmac(salt, join(utf8('HPKE-v1'), id, utf8(label), ikm));
  const expand = async (id, prk, label, info, n) => // n is at most 32: one block
    (await hmac(prk, join(u16(n), utf8('HPKE-v1'), id, utf8(label), info, Uint8Array.of(1)))).slice(0, n);

  // seal returns enc || ct. A public key of small order makes deriveBits throw.
  const seal = async (publicKey, info, plain) => {
    const pair = await crypto.subtle.generateKey({ name: 'X25519' }, false, ['deriveBits']);
    const enc = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    const to = await crypto.subtle.importKey('raw', publicKey, { name: 'X25519' }, false, []);
    const dh = new Uint8Array(await crypto.subtle.deriveBits({ name: 'X25519', public: to }, pair.privateKey, 256));
    const shared = await expand(kem, await extract(kem, none, 'eae_prk', dh), 'shared_secret', join(enc, publicKey), 32);

    const context = join(Uint8Array.of(0), await extract(suite, none, 'psk_id_hash', none), await extract(suite, none, 'info_hash', info));
    const secret = await extract(suite, shared, 'secret', none);
    const raw = await expand(suite, secret, 'key', context, 32);
    const iv = await expand(suite, secret, 'base_nonce', context, 12);
    const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
    const ct = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, plain));
    for (const b of [dh, shared, secret, raw]) b.fill(0);
    return join(enc, ct);
  };

  return { seal };
})();
