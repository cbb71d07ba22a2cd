// The page of an experiment, and "Analyse a file": print, and go to results when they come.

document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
});

// Results come below what was filled in: say so to eyes and ears.
document.addEventListener("htmx:afterSwap", (event) => {
    const heading = event.target.querySelector?.("[data-focus-result]");
    if (!heading) return;
    heading.focus({ preventScroll: true });
    event.target.scrollIntoView({ block: "start", behavior: "smooth" });
});

// Tabs that do not fit scroll: the page's own must be among those in sight.
document.querySelectorAll(".rp-exp-tabs > [aria-current=page]").forEach((tab) => {
    const bar = tab.parentElement;
    bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - (bar.clientWidth - tab.offsetWidth) / 2;
});
