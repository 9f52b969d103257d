// Uploads into the sandbox: dropped files and folders, chosen files, pasted pictures.
import { $, about, ask, go, say, tell } from "./core.js";
import { load } from "./list.js";

/** entries reads dropped files, also those in folders, as [name with folders, file]. */
async function entries(items) {
  const found = [];
  async function walk(entry, path) {
    if (entry.isFile) found.push([path + entry.name, await new Promise((done, fail) => entry.file(done, fail))]);
    else {
      const reader = entry.createReader();
      for (;;) { // a browser hands over a hundred at a time
        const some = await new Promise((done, fail) => reader.readEntries(done, fail));
        if (!some.length) break;
        for (const each of some) await walk(each, `${path}${entry.name}/`);
      }
    }
  }
  const roots = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  for (const root of roots) {
    if (root instanceof File) found.push([root.name, root]);
    else if (root) await walk(root, "");
  }
  return found;
}

async function upload(files) {
  let first = true;
  let stored = 0;
  const refused = [];
  for (const [name, file] of files) {
    try {
      const { id, key, renamed } = await ask(`api/uploads?name=${encodeURIComponent(name)}`, { method: "POST", body: file });
      stored++;
      if (renamed) tell(say("renamed", name, key), "good");
      if (first) {
        await load();
        go({ view: "", image: id });
      }
      first = false;
    } catch (error) {
      refused.push([name, error.message]);
    }
  }
  for (const [name, why] of refused.slice(0, 5)) tell(say("cannotUpload", name, why));
  if (refused.length > 5) tell(say("moreRefused", refused.length - 5));
  if (stored) load();
}

export async function sample(name) {
  try {
    const { id } = await ask(`api/samples?name=${encodeURIComponent(name)}`, { method: "POST" });
    await load();
    go({ view: "", image: id });
  } catch (error) {
    tell(error.message);
  }
}

export function start() {
  if (!about.sandbox) return;
  $("drop").hidden = false;
  $("files").addEventListener("change", async (event) => {
    const files = [...event.target.files].map((file) => [file.name, file]);
    event.target.value = ""; // so that the same file can be chosen again
    await upload(files);
  });
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").classList.remove("over");
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    upload(await entries([...event.dataTransfer.items].filter((item) => item.kind === "file")));
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    upload(files.map((file) => [file.name && file.name !== "image.png" ? file.name : `pasted-${new Date().toISOString().replace(/[:.]/g, "-")}.${file.type.split("/")[1] || "png"}`, file]));
  });
}
