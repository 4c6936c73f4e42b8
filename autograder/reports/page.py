"""The reports an instructor gets after grading: a page to look at, and tables for other systems.

Whatever comes from students (names of folders, messages, remarks) is text and stays text: the page escapes it and
forbids every script but its own, and a table's cell never begins as a formula. Points are those that nbgrader has now:
what a person has still to give is not among them.
"""

import base64
import hashlib
import math
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from autograder.reports.exports import (
    FORGEABLE,
    LINE,
    STATUSES,
    duration,
    mark_called,
    mark_names,
    possible_points,
    status,
    write_canvas,
    write_grades,
    write_gradescope,
    write_moodle,
)
from autograder.reports.gradebook import GradedSubmission, submissions
from autograder.text import clipped, format_points
from course_utils.files import write_text

COMMONEST = 5  # mistakes shown for an exercise


def write_reports(course: Path, lab: str) -> Path:
    """Write all reports of a lab into `course/reports/<lab>/` → the page, index.html."""
    folder = course / "reports" / lab
    found = submissions(course, lab)
    write_grades(folder / "grades.csv", found)
    write_gradescope(folder / "gradescope", found)
    write_moodle(folder / "moodle.csv", lab, found)
    write_canvas(folder / "canvas.csv", lab, found)
    return write_page(folder / "index.html", lab, found)


def write_page(path: Path, lab: str, found: Sequence[GradedSubmission]) -> Path:
    """One self-contained page about a lab: the exercises and their commonest mistakes, and every student."""
    graded = [one for one in found if one.graded]
    totals = [one.points for one in graded]
    names = mark_names(found)
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters |= {"number": format_points, "duration": duration, "link": link, "status": status}
    text = environment.from_string(PAGE).render(
        lab=lab,
        submissions=found,
        graded=graded,
        possible=possible_points(found),
        mean=statistics.fmean(totals) if totals else None,
        median=statistics.median(totals) if totals else None,
        names=names,
        exercises=[exercise_summary(name, graded) for name in names],
        histogram=histogram(totals, possible_points(found)),
        waiting=[one for one in graded if one.by_hand],
        not_graded=[one for one in found if not one.graded],
        unprotected=[one for one in graded if one.unprotected],
        isolation_unknown=[one for one in graded if not one.isolation],
        mark=mark_called,
        statuses=STATUSES,
        policy=(
            f"default-src 'none'; style-src '{fingerprint(STYLE)}'; script-src '{fingerprint(SCRIPT)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        style=Markup(STYLE),
        script=Markup(SCRIPT),
        forgeable=FORGEABLE,
    )
    return write_text(path, text)


def exercise_summary(name: str, graded: Sequence[GradedSubmission]) -> dict[str, Any]:
    """How an exercise went: how many of each status, points on average, and the commonest mistakes."""
    marks = [(one.student, mark) for one in graded if (mark := mark_called(one, name))]
    judged = [mark.points for _, mark in marks if not mark.waiting]
    mistakes: dict[str, list[str]] = {}
    for student, mark in marks:
        for line in mark.mistakes:
            mistakes.setdefault(clipped(line, LINE), []).append(student)
    common = sorted(mistakes.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        "name": name,
        "question": any(mark.question for _, mark in marks),
        "possible": max((mark.possible for _, mark in marks), default=0.0),
        "counts": {kind: sum(mark.status == kind for _, mark in marks) for kind in STATUSES},
        "total": len(marks),
        "mean": statistics.fmean(judged) if judged else None,
        "mistakes": common[:COMMONEST],
        "more": len(common) - len(common[:COMMONEST]),
    }


def histogram(totals: Sequence[float], possible: float) -> list[tuple[float, float, int]]:
    """Totals in at most 13 bins of whole points: the first and last whole points of each, and how many are in it."""
    if not totals or possible <= 0:
        return []
    width = max(1, math.ceil(possible / 12))
    last = int(possible // width)
    counts = Counter(min(int(total // width), last) for total in totals)
    return [(n * width, min((n + 1) * width - 1, math.floor(possible)), counts[n]) for n in range(last + 1)]


def link(path: str) -> str:
    """The address of a file of the course, from `reports/<lab>/`."""
    return "../../" + quote(os.fsencode(path))


def fingerprint(text: str) -> str:
    """What a Content-Security-Policy calls an inline style or script: its hash."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


STYLE = """
:root { color-scheme: light; --green: #1b7f3b; --red: #b3261e; --amber: #b26a00; --grey: #6b7280; --line: #dfe3e8; }
* { box-sizing: border-box; }
html { font-size: 16px; }
body { margin: 0 auto; padding: 1.5rem 2rem 4rem; max-width: 90rem; background: #fff; color: #1d2329;
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .8rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
a { color: var(--green); }
code, .code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .92em; }
.quiet { color: var(--grey); }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 0; }
.tiles div { border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem; min-width: 9rem; }
.tiles dt { color: var(--grey); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.45rem; font-weight: 600; }
.tiles small { font-size: .85rem; font-weight: 400; color: var(--grey); }
.warning, .note { border-left: 5px solid var(--red); background: #fdf3f2; padding: .6rem 1rem; margin: 1rem 0 0;
  border-radius: 0 8px 8px 0; }
.warning, .note { overflow-wrap: anywhere; }
.note { border-color: var(--grey); background: #f5f6f8; }
.exercises { display: grid; grid-template-columns: repeat(auto-fill, minmax(25rem, 1fr)); gap: .8rem; }
.exercise { border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1rem; break-inside: avoid; }
.exercise header { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
.exercise p { margin: .1rem 0; }
.exercise ul { margin: .5rem 0 0; padding: 0; list-style: none; }
.exercise li { display: flex; gap: .6rem; padding: .15rem 0; }
.count { min-width: 2.1rem; text-align: right; font-weight: 600; color: var(--red); white-space: nowrap; }
.bar { display: block; width: 100%; height: 10px; margin: .35rem 0; border-radius: 5px; }
.full { fill: var(--green); } .partial { fill: #e0a33c; } .none { fill: var(--red); } .waiting { fill: #b8bec7; }
.keys { margin: 0 0 .6rem; } .keys span { margin-right: 1.2em; white-space: nowrap; }
.keys svg { width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }
.histogram { display: block; width: 100%; max-width: 46rem; height: auto; }
.histogram text { font-size: 13px; fill: #444c56; text-anchor: middle; }
.histogram line { stroke: #9aa3ad; }
details { min-width: 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
label input { font: inherit; padding: .35rem .7rem; border: 1px solid #9aa3ad; border-radius: 6px; width: 22rem;
  max-width: 100%; margin-right: .6rem; }
.wide { overflow-x: auto; margin-top: .8rem; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
thead th { vertical-align: bottom; border-bottom: 2px solid #9aa3ad; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--green); }
th.tall { padding: .3rem .1rem; text-align: center; }
th.tall button { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 13rem; white-space: nowrap; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
th.tall[aria-sort=ascending] button::after { content: " ▶"; }
th.tall[aria-sort=descending] button::after { content: " ◀"; }
td.right, th.right { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.student { font-weight: 600; overflow-wrap: anywhere; min-width: 8rem; max-width: 16rem; }
td.student small { display: block; font-weight: 400; color: var(--grey); }
td.mark { text-align: center; white-space: nowrap; padding: .3rem .1rem; font-variant-numeric: tabular-nums; }
td.mark span { display: block; padding: 0 .3rem; border-radius: 4px; }
.is-full { background: #e3f2e7; color: #14602d; } .is-partial { background: #fbeed3; color: #7a4900; }
.is-none { background: #f9dedb; color: #8f1d17; } .is-waiting { background: #eceef1; color: #444c56; }
td.late { white-space: nowrap; }
td.words { min-width: 16rem; overflow-wrap: anywhere; }
td.words ul { margin: .3rem 0; padding-left: 1.1rem; } td.words p { margin: 0; }
pre { margin: .1rem 0 .4rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .86rem;
  border-left: 3px solid var(--red); padding-left: .6rem; }
.bad { color: var(--red); }
@media print {
  html { font-size: 11px; }
  body { padding: 0; max-width: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .screen { display: none; } tr, .exercise { break-inside: avoid; } thead { display: table-header-group; }
  .wide { overflow: visible; }
}
"""

SCRIPT = """
"use strict";
const table = document.getElementById("students");
const body = table.tBodies[0], shown = document.getElementById("shown");
const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
function compare(one, other) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const order = Number(one) - Number(other);
  return Number.isNaN(order) ? one.localeCompare(other) : order;
}
table.querySelectorAll("th button").forEach(button => button.addEventListener("click", () => {
  const head = button.parentElement, column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const empty = row => value(row, column) === "";
  const rows = [...body.rows].sort((one, other) => {
    const order = compare(value(one, column), value(other, column));
    return down && !empty(one) && !empty(other) ? -order : order;
  });
  body.append(...rows);
}));
document.getElementById("filter").addEventListener("input", event => {
  const wanted = event.target.value.trim().toLowerCase();
  let count = 0;
  for (const row of body.rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
    count += !row.hidden;
  }
  shown.textContent = wanted ? `${count} of ${body.rows.length}` : "";
});
"""

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ lab }}: report</title>
<style>{{ style }}</style>
</head>
<body>
{% macro people(list) %}{% for one in list %}<bdi>{{ one }}</bdi>{{ ", " if not loop.last }}{% endfor %}{% endmacro %}
<h1>{{ lab }}</h1>
{% set so_far = " so far" if waiting else "" %}
<dl class="tiles">
<div><dt>submissions</dt><dd>{{ submissions|length }}
{% if not_graded %} <small>{{ not_graded|length }} not graded</small>{% endif %}</dd></div>
<div><dt>mean{{ so_far }}</dt><dd>{{ mean|number if mean is not none else "–" }} <small>of {{ possible|number }}</small></dd></div>
<div><dt>median{{ so_far }}</dt><dd>{{ median|number if median is not none else "–" }} <small>of {{ possible|number }}</small></dd>
</div>
<div><dt>waits for a person</dt><dd>{{ waiting|length }} <small>
{{- "submission" if waiting|length == 1 else "submissions" }}
{%- if waiting %}, {{ (waiting|sum(attribute="by_hand"))|number }} points{% endif %}</small></dd></div>
</dl>
{% if unprotected %}
<div class="warning"><b>Graded without a sandbox: {{ unprotected|length }} of {{ graded|length }} submissions.</b>
Nothing held the students' code back, so that it could have forged these grades. Grade again where bubblewrap is
installed, or read the code before the grades count.
<details><summary>which</summary>{{ people(unprotected|map(attribute="student")) }}</details></div>
{% endif %}
{% if isolation_unknown %}
<div class="note">Graded by an earlier version, which did not note whether there was a sandbox:
{{ isolation_unknown|length }} of {{ graded|length }} submissions.</div>
{% endif %}
{% if not_graded %}
<div class="note"><b>Not graded:</b>
{% for one in not_graded %}<bdi>{{ one.student }}</bdi> <span class="quiet">({{ one.state }})</span>{{ ", " if not loop.last }}
{% endfor %}</div>
{% endif %}
{% if histogram %}
<h2>Points</h2>
{% set highest = histogram|map(attribute=2)|max %}
{% set step = 700 / histogram|length %}
<svg class="histogram" viewBox="0 0 720 190" role="img" aria-label="How many students have how many points">
{% for start, end, count in histogram %}
{% set height = 125 * count / highest %}
{% set left = 10 + step * loop.index0 %}
{% if count %}
<rect class="full" x="{{ (left + 2)|round(2) }}" y="{{ (145 - height)|round(2) }}" width="{{ (step - 4)|round(2) }}" \
height="{{ height|round(2) }}" rx="2"><title>{{ count }} with {{ start|number }} points or more</title></rect>
<text x="{{ (left + step / 2)|round(2) }}" y="{{ (140 - height)|round(2) }}">{{ count }}</text>
{% endif %}
<text x="{{ (left + step / 2)|round(2) }}" y="163">{{ start|number }}
{%- if end > start %}–{{ end|number }}{% endif %}</text>
{% endfor %}
<line x1="10" y1="145.5" x2="710" y2="145.5"/>
<text x="360" y="184">points (of {{ possible|number }}); above each bar the number of students</text>
</svg>
{% endif %}
{% if exercises %}
<h2>Exercises</h2>
<p class="quiet keys">{% for kind in statuses %}<span><svg viewBox="0 0 1 1" aria-hidden="true">\
<rect class="{{ kind }}" width="1" height="1"/></svg>{{ kind|status }}</span>{% endfor %}</p>
<div class="exercises">
{% for one in exercises %}
<section class="exercise">
<header><h3 class="code">{{ one.name }}</h3><span class="quiet">
{{- "open question" if one.question -}}</span></header>
<svg class="bar" viewBox="0 0 {{ [one.total, 1]|max }} 1" preserveAspectRatio="none" role="img" aria-label="
{%- for kind, count in one.counts.items() if count %}{{ count }} {{ kind|status }}{{ ", " if not loop.last }}
{%- endfor %}">
{% set place = namespace(x=0) %}
{% for kind, count in one.counts.items() if count %}
<rect class="{{ kind }}" x="{{ place.x }}" y="0" width="{{ count }}" height="1"><title>{{ count }} {{ kind|status }}\
</title></rect>
{% set place.x = place.x + count %}
{% endfor %}
</svg>
<p><b>{{ one.counts.full }} of {{ one.total }}</b> {{ "with all points" if one.question else "passed" }}
{%- if one.counts.waiting %}, {{ one.counts.waiting }} {{ "to be read" if one.question else "not judged here" }}
{%- endif %}
{%- if one.mean is not none %}; {{ one.mean|number }} of {{ one.possible|number }} points on average
{%- if one.counts.waiting %} so far{% endif %}{% else %}; {{ one.possible|number }} points{% endif %}</p>
{% if one.mistakes %}
<ul>
{% for message, students in one.mistakes %}
<li><span class="count">{{ students|length }} ×</span><details><summary>{{ message }}</summary>
<span class="quiet">{{ people(students) }}</span></details></li>
{% endfor %}
</ul>
{% if one.more %}<p class="quiet">and {{ one.more }} more that are rarer</p>{% endif %}
{% endif %}
</section>
{% endfor %}
</div>
{% endif %}
<h2>Students</h2>
<div class="screen"><label><input id="filter" type="search" placeholder="filter by name, mistake or remark"
 aria-label="filter by name, mistake or remark"></label><span id="shown" class="quiet" aria-live="polite"></span></div>
<div class="wide">
<table id="students">
<thead><tr><th scope="col" aria-sort="ascending"><button>student</button></th>
<th scope="col" class="right"><button>points</button></th><th scope="col"><button>late</button></th>
<th scope="col" class="right"><button>by hand</button></th>
{% for name in names %}<th scope="col" class="tall"><button class="code">{{ name }}</button></th>
{% endfor %}
<th scope="col"><button>remarks and what was missed</button></th></tr></thead>
<tbody>
{% for one in submissions %}
{% set missed = one.marks|selectattr("missed")|list if one.graded else [] %}
<tr><td class="student" data-value="{{ one.student }}">
{%- if one.feedback %}<a href="{{ one.feedback|link }}">{{ one.student }}</a>{% else %}{{ one.student }}{% endif %}
{%- if one.full_name %}<small>{{ one.full_name }}</small>{% endif %}</td>
{% if one.graded %}
<td class="right" data-value="{{ one.points }}">{{ one.points|number }} <small class="quiet">/ {{ one.possible|number }}\
</small></td>
<td class="late" data-value="{{ one.seconds_late }}">
{%- if one.seconds_late %}{{ one.seconds_late|duration }}{% endif %}
{%- if one.penalty %}<br><small class="bad">−{{ one.penalty|number }} points</small>{% endif %}</td>
<td class="right" data-value="{{ one.by_hand }}">{{ one.by_hand|number if one.by_hand }}</td>
{% for name in names %}
{% set found = mark(one, name) %}
{% if found is none %}
<td></td>
{% else %}
<td class="mark" data-value="{{ "" if found.waiting else found.points }}">\
<span class="is-{{ found.status }}" title="{{ name }}: {{ found.status|status }}">\
{{ "?" if found.waiting else found.points|number }}<small>/{{ found.possible|number }}</small></span></td>
{% endif %}
{% endfor %}
{% else %}
<td></td><td></td><td></td>{% for name in names %}<td></td>{% endfor %}

{% endif %}
<td class="words" data-value="{{ missed|length if one.graded }}">
{% if not one.graded %}<p class="bad">{{ one.state }}</p>{% endif %}
{% if one.unprotected and one.graded %}<p class="bad">{{ forgeable }}</p>{% endif %}
{% for remark in one.remarks %}<p class="bad">{{ remark }}</p>{% endfor %}
{% if missed %}
<details><summary>{{ missed|length }} missed</summary>
<ul>
{% for found in missed %}
<li><span class="code">{{ found.name }}</span>
{% if found.problem %}<pre>{{ found.problem }}</pre>{% endif %}
{% for outcome in found.outcomes if not outcome.passed %}
<div>{{ outcome.title }}{{ " (hidden test)" if outcome.hidden }}</div>
{% if outcome.message %}<pre>{{ outcome.message }}</pre>{% endif %}
{% endfor %}
</li>
{% endfor %}
</ul></details>
{% endif %}
</td></tr>
{% endfor %}
</tbody>
</table>
</div>
<p class="quiet screen">Also here: <a href="grades.csv">grades.csv</a>, <a href="moodle.csv">moodle.csv</a>,
<a href="canvas.csv">canvas.csv</a>, and <code>gradescope/</code> with a file for every student.</p>
<script>{{ script }}</script>
</body>
</html>
"""
