// Lectr's console: keyboard, copy buttons, theme, dialogs. Everything works without this file, slower.
(() => {
  "use strict";
  const find = (selector, root = document) => root.querySelector(selector);
  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
  let going = 0;

  function toast(text) {
    find(".toast")?.remove();
    const box = document.createElement("div");
    box.className = "toast";
    box.setAttribute("role", "status");
    box.textContent = text;
    document.body.append(box);
    setTimeout(() => box.remove(), 2500);
  }

  function prepare(root = document) {
    if (navigator.clipboard) root.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
    chart();
    const current = find(".places [aria-current]");
    if (current && current.parentElement.scrollWidth > current.parentElement.clientWidth) {
      current.parentElement.scrollLeft = current.offsetLeft - 60;
    }
  }

  // Only a page with a chart loads what draws it; a page that came by htmx brings no scripts of its own.
  async function chart() {
    const box = find("[data-chart]");
    if (!box || chart.loading) return;
    chart.loading = true;
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = box.dataset.style;
    document.head.append(style);
    for (const source of box.dataset.scripts.split(" ")) {
      await new Promise((resolve) => {
        const script = document.createElement("script");
        script.src = source;
        script.onload = resolve;
        document.head.append(script);
      });
    }
  }

  async function copy(button) {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("done");
    toast("Copied");
    setTimeout(() => button.classList.remove("done"), 1500);
  }

  function step(by) {
    const rows = [...document.querySelectorAll(".rows a.row")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function escape() {
    const close = find("#panel [data-close]");
    if (close) return close.click();
    document.activeElement?.blur();
  }

  function neighbour(by) {
    const link = find(by > 0 ? "[data-older]" : "[data-newer]");
    // Between its coming and its being seen by htmx a link would lead away from the list.
    const press = (tries) => link.dataset.htmxPowered || !link.hasAttribute("hx-get") || !tries ? link.click() : setTimeout(press, 20, tries - 1);
    if (link) press(50);
    return Boolean(link);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape" && !find("dialog[open]")) return escape();
    if (typing(event.target) || find("dialog[open]")) return;
    if (going && Date.now() - going < 1200) {
      going = 0;
      const place = find(`[data-go="${CSS.escape(event.key)}"]`);
      if (place) { event.preventDefault(); place.click(); }
      return;
    }
    if (event.key === "g") { going = Date.now(); return; }
    if (event.key === "/") {
      const search = find("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "j" || event.key === "k") {
      const by = event.key === "j" ? 1 : -1;
      if (!neighbour(by)) step(by);
    } else if (event.key === "?") {
      find("#shortcuts")?.showModal();
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) { copy(button); return; }
    const opener = event.target.closest("[data-dialog]");
    if (opener) { event.preventDefault(); find(opener.dataset.dialog).showModal(); return; }
    const shut = event.target.closest("[data-close]");
    if (shut && find("#panel")?.contains(shut)) {
      event.preventDefault();
      const open = find(".rows tr.open");
      find("#panel").replaceChildren();
      history.pushState({ htmx: true }, "", shut.href);
      open?.classList.remove("open");
      find("a.row", open ?? document)?.focus();
      return;
    }
    document.querySelectorAll("details:is(.menu, .files)[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  // What takes long says so and cannot be sent twice. Not at once: the browser still reads the form, pressed button and all.
  function work(button) {
    const words = document.createElement("span");
    words.className = "working muted";
    words.setAttribute("aria-live", "polite");
    button.after(words);
    setTimeout(() => {
      button.form.querySelectorAll("button:enabled").forEach((one) => { one.disabled = one.dataset.held = true; });
      button.setAttribute("aria-busy", "true");
      words.textContent = button.dataset.working;
    });
  }

  // A page that the browser kept is as it was left, and what it waited for came long ago.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.querySelectorAll(".working").forEach((words) => words.remove());
    document.querySelectorAll("[data-held]").forEach((one) => {
      one.disabled = false;
      one.removeAttribute("aria-busy");
      one.removeAttribute("data-held");
    });
  });

  document.addEventListener("submit", (event) => {
    const careful = event.target.closest("[data-confirm]");
    const box = find("#confirm");
    if (careful && box && !careful.dataset.sure) {
      event.preventDefault();
      find("p", box).textContent = careful.dataset.confirm;
      find("[data-yes]", box).onclick = () => { careful.dataset.sure = "1"; box.close(); careful.requestSubmit(); };
      find("[data-no]", box).onclick = () => box.close();
      box.showModal();
      return;
    }
    if (event.submitter?.dataset.working) work(event.submitter);
    const themes = event.target.closest("[data-themes]");
    if (!themes || !event.submitter) return;
    event.preventDefault();
    const theme = event.submitter.value;
    document.documentElement.dataset.theme = theme;
    document.cookie = `lectr-theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    themes.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button === event.submitter)));
    document.dispatchEvent(new Event("lectr:theme"));
  });

  document.addEventListener("htmx:after:swap", (event) => {
    prepare();
    const target = event.detail?.ctx?.target;
    if (target?.id === "panel") {
      const id = find("#panel [data-request]")?.dataset.request;
      document.querySelectorAll(".rows tr.open").forEach((row) => row.classList.remove("open"));
      find(`.rows a.row[data-id="${CSS.escape(id ?? "")}"]`)?.closest("tr").classList.add("open");
      find("#panel .bill-title")?.focus();
    }
  });
  document.addEventListener("htmx:error", () => toast("Lectr could not be reached. Try again."));

  prepare();
})();
