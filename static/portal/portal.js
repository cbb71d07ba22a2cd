// What every page shares: htmx set-up, dialogs, toasts, forms that submit themselves, keys.

const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token();
});
// An answer that says what went wrong (400 to 503) is shown where the result would have been.
document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status >= 400 && (xhr.getResponseHeader("Content-Type") ?? "").includes("html")) {
        event.detail.shouldSwap = true;
        event.detail.isError = false;
    }
});

// --- dialogs: [data-open="id"] opens, [data-close-dialog] closes, [data-opens="id"] opens what htmx fills ---
function openDialog(id) {
    const dialog = document.getElementById(id);
    if (!dialog) return;
    if (!dialog.open) dialog.showModal();
    dialog.dispatchEvent(new CustomEvent("portal:open"));
}
document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) openDialog(opener.dataset.open);
    if (event.target.closest("[data-close-dialog]")) event.target.closest("dialog")?.close();
    if (event.target instanceof HTMLDialogElement) event.target.close();
});
document.addEventListener("htmx:afterSwap", (event) => {
    const opens = event.detail.requestConfig?.elt?.closest?.("[data-opens]")?.dataset.opens;
    if (opens) openDialog(opens);
});

// --- toasts: the server's HX-Trigger "portal:toast", or window event of the same name ------------------------
const ICONS = { good: "check_circle", bad: "error", info: "info" };
function toast({ text, kind = "info", link = "", linkText = "" }) {
    const stack = document.getElementById("toasts");
    if (!stack) return;
    const box = document.createElement("div");
    box.className = `rp-toast rp-toast-${kind}`;
    const icon = Object.assign(document.createElement("span"), { className: "material-symbols-outlined rp-toast-icon", textContent: ICONS[kind] ?? ICONS.info });
    icon.setAttribute("aria-hidden", "true");
    box.append(icon, Object.assign(document.createElement("span"), { textContent: text }));
    if (link) box.append(Object.assign(document.createElement("a"), { href: link, textContent: linkText || link }));
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "×", ariaLabel: stack.dataset.close });
    close.addEventListener("click", () => box.remove());
    box.append(close);
    stack.append(box);
    // A toast that can be acted on, or that says something failed, stays longer.
    setTimeout(() => box.remove(), link || kind === "bad" ? 15000 : 6000);
}
document.addEventListener("portal:toast", (event) => toast(event.detail));
document.addEventListener("portal:announce", (event) => {
    const line = document.getElementById("announce");
    if (line) line.textContent = event.detail;
});
document.addEventListener("portal:close", () => document.querySelectorAll("dialog[open]").forEach((one) => one.close()));

// --- forms whose change is their submit --------------------------------------------------------------------
document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.matches("[data-autosubmit]") && !event.target.matches("[role=combobox]")) form.requestSubmit();
});
// Empty fields stay out of the URL, so that a link is short enough to send.
document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[method=get]")) return;
    for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
    setTimeout(() => { for (const field of event.target.elements) if (field.name && !field.value) field.disabled = false; });
});
window.addEventListener("pageshow", () => document.querySelectorAll(".htmx-request").forEach((one) => one.classList.remove("htmx-request")));

// --- keys: / search, g + letter go, ? help -----------------------------------------------------------------
let going = 0;
document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]")) return;
    if (event.key === "?") {
        event.preventDefault();
        openDialog("keys-help");
    } else if (event.key === "/") {
        const field = document.querySelector("[data-search-key]") ?? document.querySelector("main [role=combobox]");
        if (field) { event.preventDefault(); field.focus(); field.select(); }
    } else if (event.key === "g") {
        going = Date.now();
    } else if (Date.now() - going < 1500) {
        going = 0;
        const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
        if (link) { event.preventDefault(); location.assign(link.href); }
    }
});

// Unfold's menu and lists scroll in boxes that need a name and a tab stop of their own.
document.querySelectorAll(".simplebar-content-wrapper").forEach((box) => box.setAttribute("tabindex", "-1"));
