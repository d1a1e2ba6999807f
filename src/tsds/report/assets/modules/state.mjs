// What the reader has picked: one object, and who wants to know when it changes.

export function makeState(initial) {
  const state = { ...initial }, listeners = [];
  return {
    get: () => state,
    set(change) {
      const changed = Object.keys(change).filter((key) => state[key] !== change[key]);
      if (!changed.length) return;
      Object.assign(state, change);
      for (const [keys, listener] of listeners) if (keys.some((key) => changed.includes(key))) listener(state);
    },
    on(keys, listener) { listeners.push([keys, listener]); },
  };
}
