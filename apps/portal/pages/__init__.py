"""The staff site's pages, one module per menu item.

To add a page: (1) write `pages/<menu item>.py`: thin views under `@page` (reads) or `@action(area)`
(POSTs that change), both from `pages.shell`; render with `show(request, template, title=…)`, and a
fragment for htmx with `show` without a title. (2) Its templates go to `templates/portal/<menu item>/`;
the page extends `portal/page.html` and fills `{% block page %}`; `{% block bar %}` takes the context bar
away where a page has no use for it, the context variable `bar_extra` names a template with more fields
for it, `{% block lead %}` is the sentence that says what the page is for, `{% block page_actions %}` holds
the page's buttons, `{% block page_scripts %}` its sheet and ES module from `static/portal/`. (3) Append the
routes to `apps/portal/urls.py`; the menu shows an entry of `navigation.MENU` as soon as its route
exists. (4) Classes of `portal.css`: card, button (primary, quiet, danger), table, badge, empty, notice,
skeleton, figure; `parts/empty.html` and `parts/problem.html` for those states. (5) `toast(response, …)`
tells of a change; a view that starts a job adds the header `HX-Trigger: jobs:changed`, so the drawer
wakes up. Errors of `core.errors` need no handling: the shell shows them in words.
"""
