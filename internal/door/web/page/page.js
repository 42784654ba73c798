'use strict';
// The page itself: who is let in, what is shown, and what a click does.

(() => {
  const { bytes, same, unhex, parse, requestDigest, answerDigest, shortCode, checkAnswer, escape, hex } = Canon;
  const { el, outside, button } = Show;
  const $ = (id) => document.getElementById(id);

  let token = null;
  let view = 't';      // what the link was for: t, enrol, unlock
  let look = '';       // request to look at first
  let state = null;    // as last shown
  let busy = false;    // a ceremony runs
  const cards = new Map(); // by session and members

  // ---- the daemon ----

  class Gone extends Error {}

  // call asks the daemon. An answer that is not JSON is of a door that does not know us.
  const call = async (name, body) => {
    const r = await fetch('/api/' + name, {
      method: 'POST', body: JSON.stringify(body), cache: 'no-store', credentials: 'omit', redirect: 'error',
      headers: Object.assign({ 'Content-Type': 'application/json' }, token ? { 'Thumbturn-Token': token } : {}),
    });
    if (r.headers.get('Content-Type') !== 'application/json') {
      throw r.status === 404 ? new Gone('Open it again from a terminal: thumbturn approve') : new Error('Thumbturn did not understand this page.');
    }
    const answer = await r.json();
    if (r.ok) return answer;
    throw new Error([answer.error.message || 'It did not work', answer.error.hint].filter(Boolean).map(escape).join('. '));
  };

  // enter trades the link's ticket for a token, once. The ticket leaves the address
  // bar before anything else happens.
  const enter = async () => {
    const [kind, ticket] = location.hash.slice(1).split('=', 2);
    if (location.hash) history.replaceState(null, '', '/');
    if (['t', 'enrol', 'unlock'].includes(kind) && ticket) {
      token = null;
      sessionStorage.clear();
      const answer = await call('open', { ticket });
      [token, view, look] = [answer.token, answer.view, answer.request];
      sessionStorage.setItem('pass', JSON.stringify({ token, view }));
      return;
    }
    const kept = JSON.parse(sessionStorage.getItem('pass') || 'null');
    if (!kept) throw new Gone('Open it from a terminal: thumbturn approve');
    ({ token, view } = kept);
  };

  const follow = async () => {
    for (let seen = 0; ;) {
      try {
        const s = await call('state', { seen });
        connected(true);
        if (s.version !== seen) await draw(s);
        seen = s.version;
      } catch (e) {
        if (e instanceof Gone) throw e;
        connected(false, e);
        seen = 0;
        await new Promise((done) => setTimeout(done, 1500));
      }
    }
  };

  // ---- clicks ----

  // A button that gives something is deaf for half a second after it appeared, or
  // after what is around it changed: nobody clicks what they had no time to see.
  const rest = 500;
  let calmSince = performance.now();
  const arm = () => {
    calmSince = performance.now();
    document.body.classList.add('arming');
    setTimeout(() => {
      if (performance.now() - calmSince >= rest - 1) document.body.classList.remove('arming');
    }, rest);
  };
  document.addEventListener('visibilitychange', arm);
  window.addEventListener('focus', arm);

  // press runs act at a person's click: a script's is not trusted.
  const press = (b, act, gives) => {
    b.addEventListener('click', async (event) => {
      if (!event.isTrusted || b.getAttribute('aria-disabled') === 'true') return;
      if (gives && (performance.now() - calmSince < rest || busy)) return;
      b.setAttribute('aria-disabled', 'true');
      try {
        await act();
      } catch (e) {
        if (e instanceof Gone) closed(e);
        else tell(Passkey.trouble(e), 'bad');
      } finally {
        b.removeAttribute('aria-disabled');
      }
    });
    if (gives) b.classList.add('gives');
    return b;
  };

  const tell = (text, kind) => {
    const n = $('notice');
    n.hidden = !text;
    n.className = 'notice ' + (kind || '');
    n.textContent = text || '';
    if (text) n.focus();
  };
  const say = (text) => { $('say').textContent = text; };

  // ceremony runs one use of a passkey, and nothing beside it.
  const ceremony = async (begin, check) => {
    busy = true;
    document.body.classList.add('busy');
    try {
      const c = await begin();
      if (check) await check(c);
      tell(c.text ? escape(c.text) : 'Now use your passkey.', 'now');
      const assertions = await Passkey.assert(c, (n, of) => again(n, of));
      const outcome = await call('finish', { ceremony: c.id, assertions });
      return { outcome, assertions };
    } finally {
      busy = false;
      document.body.classList.remove('busy');
    }
  };

  // again waits for the click before another batch: some browsers ask for one.
  const again = (n, of) => new Promise((go) => {
    const b = button('Continue: passkey, ' + (n + 1) + ' of ' + of, 'main');
    b.addEventListener('click', (e) => { if (e.isTrusted) { b.remove(); go(); } });
    tell('One more use of the passkey is needed.', 'now');
    $('notice').append(' ', b);
    b.focus();
  });

  const words = { approved: 'Approved.', signed: 'Signed.', opened: 'The vaults are open.', unlocked: 'Unlocked.', enrolled: 'The passkey is enrolled.' };
  const outcomeText = (o) => [Object.hasOwn(words, o.state) ? words[o.state] : 'Done.', o.text ? escape(o.text) : ''].filter(Boolean).join(' ');

  // ---- requests ----

  // read checks what a request says of itself: its code is that of its bytes.
  const read = async (q) => {
    const raw = bytes(q.raw);
    const digest = await requestDigest(raw);
    const code = shortCode(digest);
    const r = parse(raw);
    return { ...q, r, digest, code, q: q.code, sound: code === q.code && r.v === 1 && r.id === q.id };
  };

  const session = (m) => JSON.stringify([m.r.caller.kind, m.r.caller.root, m.r.caller.uid, m.r.aud, m.r.unlock === true]);

  // together is how long after the first of a set another still joins it, in
  // milliseconds: nothing joins what a person is reading.
  const together = 500;

  // sets puts requests of one session together that were asked at once, at most eight
  // under one signature.
  const sets = (members) => {
    const out = [];
    for (const m of members) {
      const s = out.findLast((x) => session(x[0]) === session(m));
      if (s && s.length < 8 && Math.abs(m.r.issued - s[0].r.issued) <= together) s.push(m);
      else out.push([m]);
    }
    return out;
  };

  const approve = async (members, leave) => {
    const digests = members.map((m) => m.digest);
    const { outcome } = await ceremony(
      () => call('begin', { kind: 'answer', requests: members.map((m) => m.id), ...(leave ? { lease: leave } : {}) }),
      async (c) => {
        const raw = bytes(c.raw);
        checkAnswer(raw, { aud: members[0].r.aud, digests, leave, now: Date.now() });
        if (!same(await answerDigest(raw), unhex(c.challenge))) throw new Error('the challenge is not of the answer');
      });
    tell(outcomeText(outcome) + ' ' + members.map((m) => m.code).join(', '), outcome.state === 'approved' ? 'good' : 'now');
  };

  const deny = async (members) => {
    for (const m of members) await call('refuse', { kind: 'deny', id: m.id });
    tell('Denied. ' + members.map((m) => m.code).join(', '), '');
  };
  const mute = async (members) => {
    await call('refuse', { kind: 'mute', id: members[0].id, for: 10 * 60_000 });
    tell('Denied, and muted for 10 minutes.', '');
  };

  // choices of a lease's length, in minutes, as far as the policy goes.
  const lengths = (max) => {
    const all = [5, 15, 30, 60, 120, 240, 480].map((m) => m * 60_000).filter((ms) => ms < max);
    return [...all, max];
  };
  const length = (ms) => ms % 3_600_000 === 0 ? ms / 3_600_000 + ' h' : ms % 60_000 === 0 ? ms / 60_000 + ' min' : Math.ceil(ms / 1000) + ' s';

  // leasePanel lets a person choose a lease, and says what it is.
  const leasePanel = (members) => {
    const time = el('select', {}, lengths(Math.min(...members.map((m) => m.max_lease))).map((ms) => el('option', { value: String(ms) }, length(ms))));
    const uses = el('input', { type: 'number', min: '1', max: '1000', value: '10', inputmode: 'numeric' });
    const what = el('div', {});
    const give = button('', 'main');
    const chosen = () => ({ for: Number(time.value), uses: Number(uses.value) });
    const show = () => {
      const l = chosen();
      const ok = Number.isInteger(l.uses) && l.uses >= 1 && l.uses <= 1000;
      give.disabled = !ok;
      give.textContent = ok ? 'Allow for ' + length(l.for) + ', ' + l.uses + ' times' + (members.length > 1 ? ' each' : '') : 'Choose 1 to 1000 times';
      what.replaceChildren(ok ? Show.leaseGroup(Date.now() + l.for, l.uses) : '');
      arm();
    };
    time.addEventListener('change', show);
    uses.addEventListener('input', show);
    show();
    press(give, () => approve(members, chosen()), true);
    return el('div', { class: 'lease', hidden: true },
      el('p', { class: 'choose' }, el('label', {}, 'For ', time), el('label', {}, 'at most ', uses, ' times')), what, give);
  };

  const actions = (members) => {
    const many = members.length > 1;
    const first = members[0].r.unlock ? 'Unlock, and approve' : 'Approve';
    const yes = press(button(first + (many ? ' all ' + members.length : '') + ' once', 'main'), () => approve(members), true);
    const no = press(button(many ? 'Deny all' : 'Deny'), () => deny(members));
    const silence = press(button('Deny and mute 10 min'), () => mute(members));
    if (!state.passkeys?.length) {
      return [el('p', { class: 'quiet' }, 'No passkey is enrolled yet. Approve at a terminal: ', el('code', {}, 'thumbturn approve ' + escape(members[0].id))),
        el('div', { class: 'buttons' }, no, silence)];
    }
    if (!members.every((m) => m.max_lease > 0)) return [el('div', { class: 'buttons' }, yes, el('span', { class: 'gap' }), no, silence)];
    const panel = leasePanel(members);
    const more = button(many ? 'Allow all for …' : 'Allow for …');
    more.setAttribute('aria-expanded', 'false');
    press(more, () => {
      panel.hidden = !panel.hidden;
      more.setAttribute('aria-expanded', String(!panel.hidden));
      if (!panel.hidden) panel.querySelector('select').focus();
      arm();
    });
    return [el('div', { class: 'buttons' }, yes, more, el('span', { class: 'gap' }), no, silence), panel];
  };

  const unsound = (members) => el('p', { class: 'notice bad', role: 'alert' },
    'Do not approve this. What arrived here is not what its code stands for (' +
    members.filter((m) => !m.sound).map((m) => escape(m.code) + ', not ' + escape(m.code === m.q ? 'this id' : m.q)).join('; ') +
    '). Deny it, and look at what runs on this computer.');

  const head = (m, caption) => el('div', { class: 'head' }, el('h3', { id: 'r-' + m.r.id }, Show.title(m.r)), Show.code(m.code, caption));

  const one = (m) => [head(m, 'compare with the asking program'), Show.brief(Show.glance(m.r)), Show.details(Show.told(m.r, m.why), true)];

  // several shows what all members have in common once, at the end.
  const several = (members) => {
    const glances = members.map((m) => Show.glance(m.r));
    const lines = members.map((m) => Show.told(m.r, m.why));
    const [all, every] = [Show.shared(glances), Show.shared(lines)];
    return [
      el('p', { class: 'many' }, members.length + ' requests of one session, answered together'),
      members.map((m, i) => el('div', { class: 'member' },
        head(m, (i + 1) + ' of ' + members.length + '; compare'),
        Show.brief(Show.own(glances[i], all)), Show.details(Show.own(lines[i], every)))),
      el('div', { class: 'member' }, el('h3', {}, 'All ' + members.length), Show.brief(all), Show.details(every, true)),
    ];
  };

  const card = (members) => {
    const many = members.length > 1;
    const sound = members.every((m) => m.sound);
    const no = () => el('div', { class: 'buttons' }, press(button(many ? 'Deny all' : 'Deny'), () => deny(members)));
    return el('article', { class: 'card', 'aria-labelledby': members.map((m) => 'r-' + m.r.id).join(' ') },
      many ? several(members) : one(members[0]), sound ? actions(members) : [unsound(members), no()]);
  };

  // keyOf is all that a card is made from.
  const keyOf = (set, s) => JSON.stringify([s.passkeys?.length > 0, set.map((m) => [m.id, hex(m.digest), m.sound, m.max_lease, m.why])]);

  // drawWaiting keeps the cards that did not change, and so the focus within them.
  const drawWaiting = async (s) => {
    const members = await Promise.all((s.requests || []).map(read));
    const now = sets(members).map((set) => [keyOf(set, s), set]);
    const fresh = now.filter(([key]) => !cards.has(key));
    let changed = fresh.length > 0;
    for (const [key, old] of cards) {
      if (now.some(([k]) => k === key)) continue;
      if (old.contains(document.activeElement)) $('waiting-title').focus();
      old.remove();
      cards.delete(key);
      changed = true;
    }
    for (const [key, set] of now) {
      if (!cards.has(key)) cards.set(key, card(set));
    }
    if (changed) {
      for (const [i, [key]] of now.entries()) { // only what moved is touched
        if ($('cards').children[i] !== cards.get(key)) $('cards').insertBefore(cards.get(key), $('cards').children[i] || null);
      }
      arm();
    }
    $('waiting').hidden = (s.state !== 'unlocked' || s.shut) && members.length === 0;
    let none = $('none');
    if (!none) $('waiting').append(none = el('p', { id: 'none', class: 'quiet' }, 'Nothing waits. This page shows the next request by itself.'));
    none.hidden = now.length > 0;
    document.title = (members.length ? '(' + members.length + ') ' : '') + 'Thumbturn';
    if (fresh.length) say('New request: ' + fresh.map(([, set]) => set.map((m) => Show.who(m.r.caller) + ', ' + Show.summary(m.r) + ', code ' + m.code).join('; ')).join('; '));
    if (look) {
      $('r-' + look)?.scrollIntoView({ block: 'start' });
      look = '';
    }
  };

  // ---- lists ----

  const redraw = (id, key, items) => {
    const list = $(id).querySelector('ul');
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    const had = list.contains(document.activeElement);
    list.replaceChildren(...items());
    $(id).hidden = list.children.length === 0;
    if (had) $(id).querySelector('h2').focus();
  };

  const drawLeave = (s) => redraw('leave', JSON.stringify([s.leases, s.muted]), () => [
    ...(s.leases || []).map((l) => {
      const r = parse(bytes(l.raw));
      return el('li', {}, el('div', {}, el('strong', {}, 'Lease'), ' ', outside(Show.summary(r)),
        el('div', { class: 'quiet' }, outside(Show.who(r.caller)), ' may ask ' + l.left + ' more times; ends in ', Show.clock(l.until))),
      press(button('End'), () => call('refuse', { kind: 'end', id: l.id })));
    }),
    ...(s.muted || []).map((m) => {
      const r = parse(bytes(m.raw));
      return el('li', {}, el('div', {}, el('strong', {}, 'Muted'), ' ', outside(Show.who(r.caller) + ' (session ' + escape(r.caller.root) + ')'),
        el('div', { class: 'quiet' }, m.refused + ' requests refused; ends in ', Show.clock(m.until))),
      press(button('Unmute'), () => call('refuse', { kind: 'unmute', id: m.id })));
    }),
  ]);

  const drawHistory = async (s) => {
    const all = await Promise.all((s.history || []).map(read));
    redraw('history', JSON.stringify(all.map((m) => [m.id, m.state])), () => all.map((m) => el('li', {},
      el('details', {}, el('summary', {},
        el('span', { class: 'state ' + (m.state === 'approved' || m.state === 'used' ? 'good' : '') }, escape(m.state)), ' ',
        outside(Show.summary(m.r)), ' ', el('span', { class: 'quiet' }, outside(Show.who(m.r.caller)), ', ',
          el('time', { datetime: Canon.moment(m.r.issued) }, new Date(m.r.issued).toLocaleString()), ', ', m.code)),
      Show.details(Show.told(m.r, m.why), true)))));
    search();
  };
  const search = () => {
    const want = $('find').value.trim().toLowerCase();
    const all = [...$('history').querySelectorAll('li')];
    for (const li of all) li.hidden = !li.textContent.toLowerCase().includes(want);
    $('found').hidden = want === '';
    $('found').textContent = all.filter((li) => !li.hidden).length + ' of ' + all.length;
  };
  $('find').addEventListener('input', search);

  const drawPasskeys = (s) => redraw('passkeys', JSON.stringify(s.passkeys), () => (s.passkeys || []).map((p) => el('li', {},
    el('div', {}, outside(escape(p.name)), el('div', { class: 'quiet' }, p.prf ? 'signs and decrypts' : 'signs only',
      p.synced ? '; its provider may copy it to your other devices' : '; stays on its device')))));

  // ---- locked, enrolment ----

  const gate = (title, ...content) => {
    const box = el('article', { class: 'card gate' }, el('h3', { id: 'gate-title', tabindex: '-1' }, title), content);
    $('gate').replaceChildren(box);
    $('gate').hidden = false;
    return box;
  };

  const para = (text) => el('p', {}, text);

  let question = null; // what an unlock asks: told before the touch

  const drawGate = (s) => {
    if (view === 'enrol') return; // it draws itself, step by step
    const waits = s.requests?.length > 0; // for the vaults to be opened
    const key = [s.state, s.shut, view, s.passkeys?.length > 0, waits].join(' ');
    if ($('gate').dataset.key === key) return;
    $('gate').dataset.key = key;
    $('gate').hidden = true;
    if (s.shut && s.state === 'unlocked' && view !== 'unlock') {
      gate('Unlocked', para('The vaults are open. This page was opened while they were locked, and does not show what others ask. Open it again from a terminal: thumbturn approve'));
    } else if (s.state === 'held') {
      gate('Held', para('The ledger on this disk is not the one that this device signed last: something was rolled back or forked. Nothing opens until it is restored. Run thumbturn status at a terminal.'));
    } else if (s.state === 'empty') {
      gate('Nothing here yet', para('This home has no account. Run thumbturn init at a terminal.'));
    } else if (s.state !== 'unlocked' && view !== 'unlock' && waits) {
      // What waits says itself that the vaults are locked, and opens them.
    } else if (s.state !== 'unlocked' && (view !== 'unlock' || !s.passkeys?.length)) {
      // A passkey unlocks for a terminal that asks: this page was not opened for one.
      gate('Locked', para('The vaults are locked. Unlock them at a terminal: thumbturn unlock' + (s.passkeys?.length ? ' --passkey.' : '.')));
    } else if (view === 'unlock') {
      const locked = s.state !== 'unlocked';
      question ||= call('begin', { kind: 'unlock' });
      question.then((c) => {
        gate(locked ? 'Unlock' : 'Confirm that it is you',
          para(escape(c.text)),
          para('Only go on if you have just asked for it there.'),
          el('div', { class: 'buttons' }, press(button(locked ? 'Unlock with a passkey' : 'Confirm with a passkey', 'main'), async () => {
            const { outcome } = await ceremony(() => c);
            view = 't';
            sessionStorage.setItem('pass', JSON.stringify({ token, view }));
            tell(outcomeText(outcome), outcome.state === 'signed' ? 'now' : 'good');
            if (state) drawGate(state);
          }, true)));
        arm();
      }, (e) => tell(e.message, 'bad'));
    }
  };

  const enrol = async () => {
    const r = await call('register', {});
    const make = press(button('Create the passkey', 'main'), async () => {
      tell('Now create the passkey.', 'now');
      confirm(r, await call('made', await Passkey.make(r)));
    }, true);
    gate('Add the passkey “' + escape(r.name) + '”', r.text ? para(escape(r.text)) : null,
      para('From then on it answers for you: whoever holds it and passes its check can approve requests. Only go on if you have just asked for it at a terminal.'),
      el('h4', {}, 'What it can give'),
      el('ul', { class: 'plain' },
        el('li', {}, el('strong', {}, 'Signs and decrypts. '), 'Most platform passkeys and newer security keys. Each approval is signed, and the passkey gives half of the key that opens a guarded vault; the other half stays with Thumbturn. Without both, nothing opens.'),
        el('li', {}, el('strong', {}, 'Signs only. '), 'Each approval is signed, and can be checked later. To open a guarded vault, Thumbturn asks for your presence passphrase as well.')),
      para('Which of the two yours is depends on the authenticator and this browser; the next step shows it.'),
      el('div', { class: 'buttons' }, make));
    arm();
    $('gate-title').focus();
  };

  const confirm = (r, c) => {
    tell('');
    gate('Use “' + escape(r.name) + '” once', para('To be sure that it works, and to see what it gives. Then it counts.'),
      el('div', { class: 'buttons' }, press(button('Use the passkey', 'main'), async () => {
        const { outcome, assertions } = await ceremony(async () => c);
        tell('');
        enrolled(r, outcome, Passkey.synced(assertions[0]));
      }, true)));
    arm();
    $('gate-title').focus();
  };

  const enrolled = (r, outcome, synced) => {
    view = 't';
    sessionStorage.setItem('pass', JSON.stringify({ token, view }));
    gate('“' + escape(r.name) + '” is enrolled',
      outcome.decrypts
        ? para('It signs and decrypts: guarded vaults open with it and with this device, and with neither alone.')
        : para('It signs only: this authenticator, or this browser, gave nothing to decrypt with. For guarded vaults Thumbturn will ask for your presence passphrase as well.'),
      outcome.text ? para(escape(outcome.text)) : null,
      para(synced ? 'Its provider may copy it to your other devices: whoever can open that account can use it.'
        : 'It stays on its authenticator. Enrol a second one, or keep the recovery code, in case you lose it.'));
    $('gate').dataset.key = 'done ' + state?.state; // until the vaults open or lock
    $('gate-title').focus();
  };

  // ---- the whole ----

  const modes = {
    system: 'System mode: programs that run as you cannot read Thumbturn’s memory, files or ports.',
    user: 'User mode: a program that runs as you, outside a sandbox, can do here what you can.',
  };
  const vaults = { unlocked: 'Unlocked', held: 'Held', empty: 'No account' };

  const draw = async (s) => {
    state = s;
    $('test-home').hidden = !s.test_home;
    $('mode').textContent = Object.hasOwn(modes, s.mode) ? modes[s.mode] : '';
    $('vaults').textContent = Object.hasOwn(vaults, s.state) ? vaults[s.state] : 'Locked';
    $('vaults').className = s.state === 'unlocked' ? 'good' : '';
    if ($('gate').dataset.key !== 'done ' + s.state) drawGate(s);
    await drawWaiting(s);
    drawLeave(s);
    await drawHistory(s);
    drawPasskeys(s);
    document.body.dataset.version = String(s.version);
  };

  const connected = (yes, e) => {
    document.body.classList.toggle('offline', !yes);
    if (yes) return;
    $('vaults').textContent = 'Not connected';
    $('vaults').className = 'bad';
    $('vaults').title = (e && e.message) || '';
  };

  // closed is the end of this page: nothing of it may be clicked any more.
  const closed = (e) => {
    sessionStorage.clear();
    for (const id of ['waiting', 'leave', 'history', 'passkeys']) $(id).hidden = true;
    $('vaults').textContent = '';
    $('gate').replaceChildren(el('article', { class: 'card gate' }, el('h3', { id: 'gate-title' }, 'This page is closed'), para(e.message),
      para('Links work once, for two minutes; a lock and a restart of Thumbturn close every page.')));
    $('gate').hidden = false;
    document.title = 'Thumbturn';
  };

  setInterval(Show.tick, 1000);

  const start = async () => {
    if (!Passkey.here()) tell('This browser has no passkeys. You can read and deny here, and approve in another browser.', 'bad');
    await enter();
    if (view === 'enrol') enrol().catch((e) => tell(e.message, 'bad'));
    await follow();
  };
  window.addEventListener('hashchange', () => location.reload()); // a new link in an open page
  start().catch((e) => e instanceof Gone ? closed(e) : tell(e.message, 'bad'));
})();
