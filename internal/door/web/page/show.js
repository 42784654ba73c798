'use strict';
// How requests look. Text from outside gets into the page through textContent
// alone, after Canon.escape.

const Show = (() => {
  const { escape, command, gradeWords, lines, leaseLines, who, isChange, named, fileChange, fileChanged, fileCode, groups } = Canon;

  // el makes an element; strings among the children become text.
  const el = (tag, attributes, ...children) => {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) e.setAttribute(name, '');
      else if (value !== false && value !== null && value !== undefined) e.setAttribute(name, value);
    }
    for (const c of children.flat(Infinity)) if (c !== null && c !== undefined) e.append(c);
    return e;
  };
  const outside = (text, attributes) => el('bdi', attributes, text); // cannot reorder what stands beside it

  const names = (r) => (r.place.names || []).map(escape);
  const refs = (r) => (r.subjects || []).map((s) => escape(s.ref));

  // title says in a few of our own words what happens.
  const title = (r) => (r.unlock ? 'Unlock the vaults. ' : '') + happens(r);
  const happens = (r) => {
    const n = (r.subjects || []).length;
    const values = n === 1 ? 'a secret' : n + ' secrets';
    switch (r.place.grade) {
      case 'use': return 'Use ' + values;
      case 'hold': return 'Give ' + values + (r.action === 'run-agent' ? ' to an agent' : ' to a program');
      case 'reveal': return 'Show ' + values;
      case 'none': return 'Change settings: ' + escape(r.action);
    }
    return escape(r.action);
  };

  // target is the command or the host; of an act, what it changes.
  const target = (r) => {
    if (isChange(r.place) && names(r).length) return names(r);
    if ((r.place.shown || []).length) return [command(r.place.shown)];
    if (r.place.program !== '') return [escape(r.place.program)];
    return names(r);
  };

  const term = (label, ...content) => el('div', { class: 'term' }, el('dt', {}, label), el('dd', {}, content));

  const theirs = (text) => el('q', { class: 'theirs' }, outside(text));
  const said = (fact) => fact.derived ? outside(escape(fact.value)) : theirs(escape(fact.value));

  // origin is where a value belongs, and who changed it last if that was no person.
  const origin = (s) => [
    s.addresses ? el('div', { class: 'quiet' }, 'belongs to ', outside(escape(s.addresses))) : null,
    s.writer === 'person' ? null : el('div', { class: 'grade middle' }, 'last changed by ', outside(escape(s.writer))),
  ];

  // glance is the rows of one look: who, wants what, for what, why, how long. Rows
  // with the same key say the same.
  const glance = (r) => [
    { label: 'Who', key: [who(r.caller), r.principal], show: () => [outside(who(r.caller)), r.principal.value === '' ? null : [', for ', said(r.principal)]] },
    { label: 'Wants', key: [(r.subjects || []).map((s) => [s.ref, s.addresses, s.writer]), r.place.grade, r.unlock], show: () => [
      (r.subjects || []).map((s) => el('div', {}, outside(escape(s.ref), { class: 'mono' }), ...(named(s) ? [] : origin(s)))),
      r.unlock ? el('div', { class: 'grade heavy' }, 'opens all vaults too, until they lock again') : null,
      el('div', { class: 'grade ' + (Object.hasOwn(weights, r.place.grade) ? weights[r.place.grade] : 'heavy') }, gradeWords(r.place.grade))] },
    { label: isChange(r.place) ? 'Changes' : 'For', key: target(r), show: () => target(r).map((t) => el('div', {}, outside(t, { class: 'mono' }))) },
    { label: 'Why', key: r.purpose, show: () => r.purpose.value === '' ? el('span', { class: 'quiet' }, 'no reason given') : said(r.purpose) },
    ...(r.project ? [{ label: 'Task', key: r.project.task, show: () => outside(escape(r.project.task), { class: 'mono' }) },
      { label: 'File', key: [r.project.hash, r.project.before], show: () => [el('span', { class: 'mono' }, fileCode(r.project.hash)),
        fileChanged(r.project) ? ', CHANGED since ' + fileCode(r.project.before) : ''] }] : []),
    { label: 'How long', key: [r.uses, r.expires], show: () => [r.uses === 1 ? 'once; ' : r.uses + ' times; ', clock(r.expires, 'answer within ', 'the time to answer is over')] },
  ].map((row) => ({ ...row, key: JSON.stringify([row.label, row.key]) }));
  const brief = (rows) => rows.length ? el('dl', { class: 'brief' }, rows.map((row) => term(row.label, row.show()))) : null;

  // shared are the rows that stand in every list; own, those of a list that do not.
  const shared = (lists) => lists[0].filter((x) => lists.every((l) => l.some((y) => y.key === x.key)));
  const own = (list, common) => list.filter((x) => !common.some((y) => y.key === x.key));

  // clock counts down to a moment; see tick.
  const clock = (until, before, over) => {
    const e = el('span', { class: 'clock', 'data-until': String(until), 'data-before': before || '', 'data-over': over || 'now' });
    tickOne(e);
    return e;
  };
  const tickOne = (e) => {
    const text = left(Number(e.dataset.until));
    e.textContent = text === '' ? e.dataset.over : e.dataset.before + text;
  };
  const tick = () => document.querySelectorAll('.clock').forEach(tickOne);

  const weights = { use: 'light', hold: 'middle', reveal: 'heavy', none: 'middle' };

  // left is the time until a moment, in words; empty when it is there.
  const left = (until) => {
    const s = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    if (s === 0) return '';
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min ' + String(s % 60).padStart(2, '0') + ' s';
    return Math.floor(s / 3600) + ' h ' + String(Math.floor(s % 3600 / 60)).padStart(2, '0') + ' min';
  };

  const kinds = ['enforced', 'reported', 'claimed'];
  const heads = [
    ['Enforced by Thumbturn', ''],
    ['Reported by the system', 'programs of your user can imitate it'],
    ['Claimed by whoever asks', 'unchecked'],
  ];

  // group shows the lines of one group, equal labels once.
  const group = (i, all, whole) => {
    const mine = all.filter((l) => l.group === groups[i]);
    if (mine.length === 0 && !(whole && i === 2)) return null;
    const rows = [];
    for (const l of mine) {
      const text = l.label === fileChange ? el('code', { class: 'theirs' }, outside(l.text)) : i === 2 ? theirs(l.text) : outside(l.text);
      const last = rows.at(-1);
      if (last && last.label === l.label) last.texts.push(text);
      else rows.push({ label: l.label, texts: [text] });
    }
    return el('section', { class: 'group ' + kinds[i] },
      el('h4', {}, heads[i][0], heads[i][1] ? el('small', {}, heads[i][1]) : null),
      rows.length ? el('dl', {}, rows.map((r) => term(r.label, r.texts.map((t) => el('div', {}, t)))))
        : el('p', { class: 'quiet' }, 'nothing'));
  };

  // told is the lines of the three groups; why is the daemon's word, and so ours.
  const told = (r, why) => {
    const all = lines(r);
    if (why) all.push({ group: groups[0], label: 'because', text: escape(why) });
    // Of two changes that are not the same no part stands among what is shared.
    return all.map((l) => ({ ...l, key: JSON.stringify([l, l.label === fileChange ? [r.project.before, r.project.hash] : '']) }));
  };
  // details shows lines in their groups; a whole request says also that nothing is claimed.
  const details = (all, whole) => {
    const boxes = [0, 1, 2].map((i) => group(i, all, whole));
    return boxes.some(Boolean) ? el('div', { class: 'groups' }, boxes) : null;
  };

  const leaseGroup = (until, uses) => el('div', {}, group(0, leaseLines(until, uses)));

  // code is big: a person compares it with another screen.
  const code = (text, caption) => el('p', { class: 'code' },
    el('span', { class: 'unseen' }, 'Code ' + Array.from(text).join(' ')), // for ears
    el('span', { class: 'digits', 'aria-hidden': 'true' }, text),
    el('span', { class: 'caption' }, caption));

  // summary is one line for lists.
  const summary = (r) => title(r) + ': ' + (refs(r).join(', ') || names(r).join(', ') || escape(r.id));

  const button = (label, kind) => el('button', { type: 'button', class: kind || '' }, label);

  return { el, outside, title, glance, brief, told, details, shared, own, leaseGroup, code, clock, tick, summary, button, who };
})();
