'use strict';
// What this page has in common with the daemon: the digest of a request, its short
// code, what is shown of it (spec/request.md §3 to §5), and the bytes of an answer.
// Nothing here touches the page.

const Canon = (() => {
  const utf8 = (s) => new TextEncoder().encode(s);
  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const base64 = (b) => btoa(Array.from(new Uint8Array(b), (x) => String.fromCharCode(x)).join(''));
  const hex = (b) => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
  const unhex = (s) => Uint8Array.from(s.match(/../g) || [], (x) => parseInt(x, 16));

  const join = (...parts) => {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) {
      out.set(p, at);
      at += p.length;
    }
    return out;
  };

  const digest = async (domain, raw) =>
    new Uint8Array(await crypto.subtle.digest('SHA-256', join(utf8(domain), raw)));
  const requestDigest = (raw) => digest('thumbturn/request/v1\0', raw);
  const answerDigest = (raw) => digest('thumbturn/answer/v1\0', raw);

  const shortCode = (hash) => {
    let bits = 0n;
    for (const b of hash.slice(0, 5)) bits = bits << 8n | BigInt(b);
    let s = '';
    for (let i = 35n; i >= 0n; i -= 5n) s += '0123456789abcdefghjkmnpqrstvwxyz'[Number(bits >> i & 31n)];
    return s.slice(0, 4) + '-' + s.slice(4);
  };

  // Bytes that are not UTF-8 throw.
  const parse = (raw) => JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw));

  // escape makes text from outside safe to show on a line, as canon.Escape of the
  // daemon does: what is invisible, reorders or breaks the line, or stands on no letter
  // of its own kind, becomes \u{…}, and so do the letters of all scripts but one in a
  // word. A browser that knows more characters than the daemon shows them as they are.
  const graphic = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;
  const hidden = /^[\p{Variation_Selector}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\u{13441}\u{13442}\u{16fe4}\u{1d159}]$/u;
  const hex1 = (c) => '\\u{' + c.codePointAt(0).toString(16) + '}';
  const escape = (s) => {
    if (/^[ -~]*$/.test(s)) return String(s);
    let out = '', word = [];
    const end = () => { out += escapeWord(word); word = []; };
    for (const c of String(s)) {
      const shown = c === ' ' || graphic.test(c) && !hidden.test(c);
      if (shown && /^[\p{L}\p{M}\p{N}]$/u.test(c)) { word.push(c); continue; }
      end();
      out += shown ? c : hex1(c);
    }
    end();
    return out;
  };

  const scripts = ('Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo ' +
    'Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common ' +
    'Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs ' +
    'Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Han Hangul ' +
    'Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian ' +
    'Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha ' +
    'Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi ' +
    'Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar ' +
    'Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian ' +
    'Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage ' +
    'Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra ' +
    'Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog ' +
    'Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic ' +
    'Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square').split(' ').flatMap((name) => {
    try { return [{ name, has: new RegExp('^\\p{Script=' + name + '}$', 'u') }]; } catch { return []; } // of an older browser
  });
  const styled = /^[\u2100-\u2188\uff21-\uff5a\u{1d400}-\u{1d7ff}]$/u; // made to look like Latin letters
  const known = new Map(); // to look for one takes a walk through all
  const script = (c) => {
    if (c < '\x80') return /[a-z]/i.test(c) ? 'Latin' : 'Common';
    if (styled.test(c)) return 'styled';
    if (!known.has(c)) known.set(c, (scripts.find((x) => x.has.test(c)) || { name: 'Unknown' }).name);
    return known.get(c);
  };
  // apart are the scripts of which a word may have one. The others are of none, or are
  // written without spaces between words.
  const apart = (c, name) => !/^\p{M}$/u.test(c) &&
    !['Common', 'Inherited', 'Han', 'Hiragana', 'Katakana', 'Bopomofo', 'Hangul', 'Thai', 'Lao', 'Khmer', 'Myanmar'].includes(name);

  // shared are the marks that several scripts have in common.
  const indic = 'Bengali Devanagari Grantha Gujarati Gurmukhi Kannada Malayalam Oriya Tamil Telugu';
  const shared = [[/[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/, ''], [/[\u0485\u0486]/, 'Cyrillic'],
    [/[\u064b-\u0670]/, 'Arabic Syriac'], [/[\u0951-\u0954\u1cd0-\u1cff]/, indic],
    [/[\u302a-\u302d]/, 'Bopomofo Han'], [/[\u3099\u309a]/, 'Hiragana Katakana']];
  const fits = (mark, its, base) => {
    if (/^\p{Me}$/u.test(mark)) return false;
    if (its !== 'Inherited' && its !== 'Common') return its === base;
    const s = shared.find(([has]) => has.test(mark));
    return s !== undefined && (s[1] === '' || s[1].split(' ').includes(base));
  };

  const marksOnALetter = 4;
  const escapeWord = (word) => {
    const count = new Map();
    const of = word.map(script);
    word.forEach((c, i) => { if (apart(c, of[i])) count.set(of[i], (count.get(of[i]) || 0) + 1); });
    let keep = '';
    for (const [name, n] of count) if (keep === '' || n > count.get(keep)) keep = name;
    let base = '', marks = 0; // the script of the letter that marks now stand on
    return word.map((c, i) => {
      const mark = /^\p{M}$/u.test(c);
      if (mark && base !== '' && marks < marksOnALetter && fits(c, of[i], base)) {
        marks++;
        return c;
      }
      if (mark || apart(c, of[i]) && of[i] !== keep) {
        base = '';
        return hex1(c);
      }
      [base, marks] = [/^\p{L}$/u.test(c) ? of[i] : '', 0];
      return c;
    }).join('');
  };

  const quote = (s) => s === '' || /[ '"\\$`;&|<>()]/.test(s) ? "'" + s.replaceAll("'", "'\\''") + "'" : s;
  const command = (shown) => (shown || []).map((a) => quote(escape(a))).join(' ');
  const moment = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

  const grades = {
    use: 'uses the value; nobody who asked can read it',
    hold: 'gives the value to programs running as you',
    reveal: 'shows the value to whoever asked',
    none: 'changes settings; no value moves',
  };
  const gradeWords = (g) => Object.hasOwn(grades, g) ? grades[g] : 'unknown grade';

  const enforced = 'enforced by thumbturn';
  const reported = 'reported by the system; programs of your user can imitate it';
  const claimed = 'claimed by whoever asks';
  const fileChange = 'file change';
  const none = '0'.repeat(64);
  const fileCode = (hash) => shortCode(unhex(hash));
  const fileChanged = (p) => p.before !== none && p.before !== p.hash;
  const fileWords = (p) => {
    const s = fileCode(p.hash) + '  (digest ' + escape(p.hash) + '), ';
    if (p.before === none) return s + 'none at its path is known as approved before in this session';
    if (!fileChanged(p)) return s + 'as approved before in this session, which gives this task nothing now';
    return s + 'CHANGED since ' + fileCode(p.before) + ' was approved in this session' +
      ((p.diff || []).length === 0 ? ', by more than can be shown' : '; all that changed is shown');
  };
  const isChange = (place) => place.sink === 'statement' || place.sink === 'vault';

  // named is a subject of which nothing is known but its reference: asked while locked.
  const named = (s) => /^0*$/.test(s.record);

  // lines renders a request, as canon.Lines of the daemon does. Nothing is cut.
  const lines = (r) => {
    const out = [];
    const add = (group, label, text) => {
      if (text !== '') out.push({ group, label, text });
    };
    const file = (hash, id) => 'sha256 ' + escape(hash) + (id === '' ? '' : ', file ' + escape(id));
    if (r.test_home) add(enforced, 'home', 'TEST HOME: not for real secrets');
    add(enforced, 'action', escape(r.action) + ' — ' + gradeWords(r.place.grade));
    if (r.unlock) add(enforced, 'unlock', 'THE VAULTS ARE LOCKED: this opens them too, until they lock again');
    for (const s of r.subjects || []) {
      if (named(s)) {
        add(enforced, 'secret', escape(s.ref) + '  (by its name: what lies there is known once the vaults are open)');
        continue;
      }
      add(enforced, 'secret', escape(s.ref) + '  (' + escape(s.tier) + ', revision ' + s.revision +
        ', last changed by ' + escape(s.writer) + ')');
      if (s.addresses) add(enforced, 'belongs to', escape(s.addresses) + "  (the item's addresses; no program is held to them)");
    }
    for (const n of r.place.names || []) add(enforced, isChange(r.place) ? 'change' : 'as variable', escape(n));
    if (r.place.free) {
      add(enforced, 'arguments', 'those of the command, AND ANY BEHIND THEM: whoever asks chooses them at each use');
    }
    if (r.project) {
      add(enforced, 'task', '"' + escape(r.project.task) + "\": arguments, secrets and variables are in the project's file under this name");
      add(enforced, 'file', fileWords(r.project));
    }
    add(enforced, 'uses', String(r.uses));
    add(enforced, 'until', moment(r.expires));
    add(reported, 'asked by', who(r.caller) + ' (uid ' + r.caller.uid + ', session ' + escape(r.caller.root) + ')');
    add(reported, 'program', escape(r.place.program));
    const image = r.place.image;
    if (image) {
      add(reported, 'content', file(image.hash, image.file));
      if (image.interpreter !== '') {
        add(reported, 'run by', escape(image.interpreter) + '  (' + file(image.interpreter_hash, image.interpreter_file) + ')');
      }
    }
    add(reported, 'command', command(r.place.shown));
    add(reported, 'directory', escape(r.place.dir));
    if (r.project) add(reported, 'file at', escape(r.project.file));
    for (const [label, fact] of [['for', r.principal], ['tenant', r.tenant], ['purpose', r.purpose]]) {
      add(fact.derived ? reported : claimed, label, escape(fact.value));
    }
    for (const line of r.project?.diff || []) add(claimed, fileChange, escape(line));
    return out;
  };

  const who = (caller) => escape(caller.kind) + (caller.label === '' ? '' : ', looks like ' + escape(caller.label));

  // leaseLines is what a person is about to give beyond a request.
  const leaseLines = (until, uses) => [
    ['LEASE', 'the same session may run exactly this again without asking, with these values, ' + uses + ' times at most'],
    ['lease until', moment(until) + "; sooner at a lock, at `thumbturn deny` of this id, or at the session's end"],
    ['lease ends', "when a value, its addresses, the program's file, the command, the directory, a secret's variable or the policy change"],
    ['not leased', 'what the program reads or calls, its other variables and the text around a secret can change meanwhile, and are not looked at'],
  ].map(([label, text]) => ({ group: enforced, label, text }));

  // slack is how much later than asked for a lease may end, in milliseconds: the
  // time that its way to the daemon takes.
  const slack = 10_000;

  // checkAnswer throws unless an answer's bytes say yes to exactly these requests of
  // this device, and give exactly the lease that was chosen; it returns the lease.
  const checkAnswer = (raw, { aud, digests, leave, now }) => {
    const lease = parse(raw).lease;
    let tail = '}';
    if (leave) {
      if (!lease || lease.uses !== leave.uses || !Number.isSafeInteger(lease.until) ||
        lease.until <= now || lease.until > now + leave.for + slack) throw new Error('the lease is not the one that was chosen');
      tail = ',"lease":{"until":' + lease.until + ',"uses":' + lease.uses + '}}';
    }
    const names = digests.map((d) => '"' + hex(d) + '"').sort();
    const want = utf8('{"v":1,"aud":' + JSON.stringify(aud) + ',"requests":[' + names.join(',') + ']' + tail);
    if (names.length === 0 || new Set(names).size !== names.length || !same(want, raw)) {
      throw new Error('the answer is not to what this page shows');
    }
    return leave ? lease : null;
  };

  const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

  return {
    utf8, bytes, base64, hex, unhex, join, same, requestDigest, answerDigest, shortCode, parse, escape, command,
    moment, gradeWords, lines, leaseLines, checkAnswer, who, isChange, named, fileChange, fileChanged, fileCode, groups: [enforced, reported, claimed],
  };
})();
