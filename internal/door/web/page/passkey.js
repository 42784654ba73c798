'use strict';
// The passkey: what is asked of the authenticator, and what of its answer goes to
// the daemon. A credential is never serialized whole: it holds the PRF outputs,
// half of a key. They leave this page sealed, or not at all.

const Passkey = (() => {
  const { bytes, base64, unhex, join, utf8 } = Canon;
  const patience = 120_000; // ms, for a person to find the key
  const here = () => 'PublicKeyCredential' in window && !!navigator.credentials;

  const evaluate = (salts) => {
    const [first, second] = salts.map(bytes);
    return { prf: { eval: second ? { first, second } : { first } } };
  };

  // output takes an ArrayBuffer, a view of one, and the plain array of numbers that
  // some providers give. Anything but 32 bytes is none.
  const output = (v) => {
    let b = null;
    if (Object.prototype.toString.call(v) === '[object ArrayBuffer]') b = new Uint8Array(v);
    else if (ArrayBuffer.isView(v)) b = new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
    else if (Array.isArray(v)) b = Uint8Array.from(v);
    return b && b.length === 32 ? b : null;
  };

  // sealed is the HPKE message of a batch's PRF outputs; empty unless all are there.
  const sealed = async (credential, challenge, batch, salts, key) => {
    if (salts.length === 0) return '';
    const r = credential.getClientExtensionResults().prf?.results || {};
    const all = [r.first, r.second].slice(0, salts.length).map(output);
    if (all.includes(null)) return '';
    const plain = join(...all);
    const info = join(utf8('thumbturn/prf/v1\0'), challenge, Uint8Array.of(batch));
    const message = await Hpke.seal(bytes(key), info, plain);
    for (const b of [plain, ...all]) b.fill(0);
    return base64(message);
  };

  // assert uses a passkey once for each batch of a ceremony, always the same one.
  // pause is awaited before each batch but the first: a person's next click.
  const assert = async (ceremony, pause) => {
    const challenge = unhex(ceremony.challenge);
    const batches = (ceremony.salts || []).length ? ceremony.salts : [[]];
    let allowed = ceremony.credentials || [];
    const out = [];
    for (const [batch, salts] of batches.entries()) {
      if (batch > 0) await pause(batch, batches.length);
      const credential = await navigator.credentials.get({
        publicKey: {
          challenge, rpId: ceremony.rp_id, userVerification: 'required', timeout: patience,
          allowCredentials: allowed.map((id) => ({ type: 'public-key', id: bytes(id) })),
          extensions: salts.length ? evaluate(salts) : {},
        },
      });
      const id = base64(credential.rawId);
      if (!allowed.includes(id)) throw new Error('another passkey answered');
      allowed = [id];
      out.push({
        batch, credential: id,
        authenticator_data: base64(credential.response.authenticatorData),
        client_data: base64(credential.response.clientDataJSON),
        signature: base64(credential.response.signature),
        sealed: await sealed(credential, challenge, batch, salts, ceremony.key),
      });
    }
    return out;
  };

  // make creates a passkey. The algorithms are those that records can be checked
  // with later: ES256, EdDSA, RS256.
  const make = async (registration) => {
    const challenge = unhex(registration.challenge);
    const salts = registration.salts || [];
    const credential = await navigator.credentials.create({
      publicKey: {
        challenge, rp: { id: registration.rp_id, name: 'Thumbturn' }, timeout: patience,
        user: { id: bytes(registration.user), name: registration.account, displayName: registration.name },
        pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: 'public-key', alg })),
        excludeCredentials: (registration.exclude || []).map((id) => ({ type: 'public-key', id: bytes(id) })),
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
        attestation: 'none',
        extensions: salts.length ? evaluate(salts) : {},
      },
    });
    return {
      credential: base64(credential.rawId),
      client_data: base64(credential.response.clientDataJSON),
      attestation: base64(credential.response.attestationObject),
      transports: credential.response.getTransports?.() || [],
      sealed: await sealed(credential, challenge, 0, salts, registration.key),
    };
  };

  // synced tells from an assertion whether the passkey's provider may copy it (flag BE).
  const synced = (assertion) => (bytes(assertion.authenticator_data)[32] & 8) !== 0;

  // trouble says in words what went wrong.
  const trouble = (e) => {
    switch (e && e.name) {
      case 'NotAllowedError': return 'The passkey did not confirm: it was cancelled, took too long, or did not recognise you. Nothing was signed.';
      case 'InvalidStateError': return 'This authenticator holds a passkey of this home already.';
      case 'SecurityError': return 'The browser does not accept passkeys under this address.';
      case 'NotSupportedError': return 'This authenticator cannot do what is needed.';
      case 'AbortError': return 'Cancelled. Nothing was signed.';
    }
    return (e && e.message) || 'It did not work.';
  };

  return { here, assert, make, synced, trouble };
})();
