// Texts of the data are strangers': they become text nodes and nothing else, and what can't be seen in them is made
// visible, so that a character that turns the direction of a line acts on nothing.

const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function visible(text) {
  return text.replace(INVISIBLE, (c) => {
    const code = c.charCodeAt(0);
    if (code === 0x0d) return "";
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x200d || code === 0x200c) return c; // joins emoji and letters of some scripts
    return `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

// A text of the page is a string, or a list of [role, text].
export const plainText = (text) => (typeof text === "string" ? text : text.map(([, content]) => content).join("\n"));

// A target by its id, and the task it is of where tasks are named.
export const targetName = (target) => visible(String(target.id)) + (target.task ? ` of ${visible(target.task)}` : "");

export const oneLine = (text, most = 160) => {
  const line = visible(plainText(text)).replace(/\s+/g, " ").trim();
  return line.length <= most ? line : line.slice(0, most - 1).trimEnd() + "…";
};
