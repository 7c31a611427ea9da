"""Draws a dashboard's panels with data of a real Prometheus, for the README.

This is not Grafana: no Grafana runs where the tests run. The layout, titles, units and queries are those of the
dashboard's file, the data are Prometheus's, and the drawing is this script's own.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.acceptance.oncall_stage import ask, filled

CELL, ROW, GAP = 58, 34, 8
COLOURS = {
    "green": "#3d9a4b", "semi-dark-green": "#37872d", "red": "#d0334a", "semi-dark-red": "#c4162a", "dark-red": "#8f1324",
    "orange": "#e8731c", "semi-dark-orange": "#fa6400", "light-orange": "#ffa64d", "super-light-orange": "#ffcb7d",
    "semi-dark-yellow": "#cc9d00", "light-yellow": "#e5b400", "blue": "#2f6fd0", "semi-dark-blue": "#3274d9", "light-blue": "#72a8ee",
    "semi-dark-purple": "#a352cc", "dark-purple": "#7c2ea3", "purple": "#8f3bb8", "text": "#7b8087",
}  # fmt: skip
PALETTE = (
    "#3274d9",
    "#37872d",
    "#e8731c",
    "#a352cc",
    "#cc9d00",
    "#c4162a",
    "#1f9aa8",
    "#7b8087",
    "#8f3bb8",
    "#56a64b",
)
STYLE = """
body { margin: 0; background: #f4f5f7; font: 13px/1.35 "DejaVu Sans", sans-serif; color: #22252b; }
main { position: relative; margin: 12px; }
header { padding: 14px 16px 0; } header b { font-size: 17px; } header span { color: #6b7078; margin-left: 12px; }
section { position: absolute; background: #fff; border: 1px solid #dcdfe4; border-radius: 3px; overflow: hidden; box-sizing: border-box; }
section.row { background: none; border: 0; font-weight: 600; padding: 8px 2px; }
section.text { background: none; border: 0; padding: 4px; color: #44484f; }
h3 { margin: 0; padding: 7px 10px 3px; font-size: 12.5px; font-weight: 600; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.big { font-size: 30px; text-align: center; padding-top: 14px; font-weight: 500; }
.none { color: #8a9099; text-align: center; padding-top: 22px; font-size: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 12px; } td, th { text-align: left; padding: 3px 10px; border-bottom: 1px solid #eceef1; white-space: nowrap; }
th { color: #2f6fd0; font-weight: 600; } td.n, th.n { text-align: right; }
.legend { padding: 2px 10px; font-size: 11.5px; color: #44484f; } .legend i { display: inline-block; width: 12px; height: 4px; border-radius: 2px; margin: 0 5px 3px 8px; }
.bar { display: flex; align-items: center; padding: 3px 10px; } .bar span { width: 150px; } .bar div { flex: 1; background: #eceef1; height: 15px; } .bar div b { display: block; height: 100%; }
.bar em { width: 70px; text-align: right; font-style: normal; }
"""


def unit_text(value: float, unit: str) -> str:
    if unit in ("s",):
        for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
            if abs(value) >= 1.5 * size:
                return f"{value / size:.1f} {name}"
        return f"{value * 1000:.0f} ms" if 0 < abs(value) < 1 else f"{value:.1f} s"
    if unit == "percentunit":
        return f"{value * 100:.1f} %"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit in ("ops", "reqps"):
        return f"{value:.3g}/s"
    return f"{value:,.0f}" if abs(value - round(value)) < 0.005 else f"{value:.3g}"


class Drawing:
    """One dashboard on one page."""

    def __init__(self, server: str, document: dict[str, Any], seconds: int, **values: str) -> None:
        self.server, self.document, self.values = server, document, values
        self.end = time.time()  # noqa: TID251 - Prometheus's own clock
        self.start = self.end - seconds

    def page(self) -> str:
        panels = "".join(self._panel(panel) for panel in self.document["panels"])
        bottom = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in self.document["panels"])
        width = 24 * CELL
        return (
            f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style><header><b>{html.escape(self.document['title'])}</b>"
            "<span>drawn by our own script from the dashboard's queries and a real Prometheus; not a picture of Grafana</span></header>"
            f"<main style='width:{width}px;height:{bottom * ROW}px'>{panels}</main>"
        )

    def _panel(self, panel: dict[str, Any]) -> str:
        at = panel["gridPos"]
        box = f"left:{at['x'] * CELL}px;top:{at['y'] * ROW}px;width:{at['w'] * CELL - GAP}px;height:{at['h'] * ROW - GAP}px"
        if panel["type"] == "row":
            return f"<section class='row' style='{box}'>{html.escape(panel['title'])}</section>"
        if panel["type"] == "text":
            text = html.escape(filled(panel["options"]["content"], **self.values)).replace("`", "")
            return f"<section class='text' style='{box}'>{text}</section>"
        draw: Callable[[dict[str, Any], int, int], str] = getattr(self, f"_{panel['type'].replace('-', '_')}")
        inside = draw(panel, at["w"] * CELL - GAP, at["h"] * ROW - GAP - 26)
        none = f"<div class='none'>{html.escape(panel['fieldConfig']['defaults']['noValue'])}</div>"
        return f"<section style='{box}'><h3>{html.escape(panel['title'])}</h3>{inside or none}</section>"

    # -- data -------------------------------------------------------------------------------------

    def _now(self, panel: dict[str, Any]) -> list[tuple[str, dict[str, str], float]]:
        found = []
        for target in panel["targets"]:
            expr = filled(target["expr"], **self.values)
            for one in ask(self.server, "/api/v1/query", query=expr, time=str(self.end))["result"]:
                if one["value"][1] != "NaN":
                    found.append((self._legend(target, one["metric"]), one["metric"], float(one["value"][1])))
        return found

    def _lines(self, panel: dict[str, Any]) -> list[tuple[str, list[tuple[float, float]]]]:
        found = []
        for target in panel["targets"]:
            answer = ask(
                self.server, "/api/v1/query_range", query=filled(target["expr"], **self.values),
                start=str(self.start), end=str(self.end), step="1",
            )  # fmt: skip
            for one in answer["result"]:
                points = [(float(t), float(v)) for t, v in one["values"] if v != "NaN"]
                if points:
                    found.append((self._legend(target, one["metric"]), points))
        return found

    @staticmethod
    def _legend(target: dict[str, Any], labels: dict[str, str]) -> str:
        legend = target.get("legendFormat", "")
        if legend in ("", "__auto"):
            return ", ".join(f"{v}" for k, v in labels.items() if k != "__name__")
        for name, value in labels.items():
            legend = legend.replace(f"{{{{{name}}}}}", value)
        return legend

    def _colour(self, panel: dict[str, Any], value: float) -> str:
        colour = "blue"
        for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", ()):
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
        return COLOURS[colour]

    def _word(self, panel: dict[str, Any], value: float) -> tuple[str, str] | None:
        for mapping in panel["fieldConfig"]["defaults"].get("mappings", ()):
            found = mapping["options"].get(f"{value:g}")
            if found is not None:
                return found["text"], COLOURS[found["color"]]
        return None

    # -- drawings ---------------------------------------------------------------------------------

    def _stat(self, panel: dict[str, Any], width: int, height: int) -> str:
        found = self._now(panel)
        if not found:
            return ""
        legend, _, value = found[0]
        word = self._word(panel, value)
        text, colour = word or (
            unit_text(value, panel["fieldConfig"]["defaults"].get("unit", "")), self._colour(panel, value)
        )  # fmt: skip
        text = legend if not text.strip() else text
        size = "" if len(text) < 12 else ";font-size:17px;padding-top:22px"
        return f"<div class='big' style='color:{colour}{size}'>{html.escape(text)}</div>"

    def _table(self, panel: dict[str, Any], width: int, height: int) -> str:
        found = self._now(panel)
        options = panel["transformations"][0]["options"]
        order = options["indexByName"]
        names = sorted((n for n in order if n != "Value"), key=order.__getitem__)
        names = [n for n in names if any(labels.get(n) for _, labels, _ in found)]
        value = options["renameByName"]["Value"] if "Value" not in options["excludeByName"] else ""
        unit = next(
            (p["value"] for o in panel["fieldConfig"].get("overrides", ()) for p in o["properties"] if p["id"] == "unit"), ""
        )  # fmt: skip
        found.sort(key=lambda one: -one[2])
        head = "".join(f"<th>{html.escape(options['renameByName'][n])}</th>" for n in names)
        head += f"<th class='n'>{html.escape(value)}</th>" if value else ""
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(labels.get(n, ''))}</td>" for n in names)
            + (f"<td class='n'>{unit_text(number, unit)}</td>" if value else "") + "</tr>"
            for _, labels, number in found[: max(1, (height - 26) // 23)]
        )  # fmt: skip
        return f"<table><tr>{head}</tr>{rows}</table>" if found else ""

    def _bargauge(self, panel: dict[str, Any], width: int, height: int) -> str:
        found = self._now(panel)
        most = max((value for *_, value in found), default=0) or 1
        unit = panel["fieldConfig"]["defaults"].get("unit", "")
        return "".join(
            f"<div class='bar'><span>{html.escape(legend)}</span><div><b style='width:{100 * value / most:.0f}%;"
            f"background:{self._colour(panel, value)}'></b></div><em>{unit_text(value, unit)}</em></div>"
            for legend, _, value in found
        )

    def _timeseries(self, panel: dict[str, Any], width: int, height: int) -> str:
        lines = self._lines(panel)
        if not lines:
            return ""
        defaults = panel["fieldConfig"]["defaults"]
        stacked = defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal"
        named = {
            o["matcher"]["options"]: COLOURS[p["value"]["fixedColor"]]
            for o in panel["fieldConfig"].get("overrides", ()) for p in o["properties"] if p["id"] == "color"
        }  # fmt: skip
        left, top, bottom = 62, 6, height - 42
        sums: dict[int, float] = {}
        paths, legend = [], []
        if stacked:  # what is not there is none of it
            moments = sorted({moment for _, points in lines for moment, _ in points})
            lines = [(name, [(t, dict(points).get(t, 0.0)) for t in moments]) for name, points in lines]
        most = self._most(lines, stacked) or 1.0
        for index, (name, points) in enumerate(lines[:10]):
            colour = named.get(name, PALETTE[index % len(PALETTE)])
            where = []
            for moment, value in points:
                base = sums.get(round(moment), 0.0) if stacked else 0.0
                x = left + (moment - self.start) / (self.end - self.start) * (width - left - 14)
                where.append(
                    (
                        x,
                        bottom - (base + value) / most * (bottom - top),
                        bottom - base / most * (bottom - top),
                    )
                )
                if stacked:
                    sums[round(moment)] = base + value
            if stacked:
                line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in where)
                floor = " ".join(f"{x:.1f},{b:.1f}" for x, _, b in reversed(where))
                paths.append(f"<polygon points='{line} {floor}' fill='{colour}' fill-opacity='.6'/>")
            # A gap is a gap: the line is broken where nothing was.
            gap = 2.5 / (self.end - self.start) * (width - left - 14)
            path = "".join(
                f"{'L' if i and x - where[i - 1][0] < gap else 'M'}{x:.1f},{y:.1f}"
                for i, (x, y, _) in enumerate(where)
            )
            paths.append(f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='1.6'/>")
            last = unit_text(points[-1][1], defaults.get("unit", ""))
            legend.append(f"<i style='background:{colour}'></i>{html.escape(name)} {last}")
        grid = "".join(
            f"<line x1='{left}' x2='{width - 12}' y1='{y:.1f}' y2='{y:.1f}' stroke='#e6e8ec'/>"
            f"<text x='{left - 6}' y='{y + 4:.1f}' text-anchor='end' font-size='10.5' fill='#6b7078'>"
            f"{unit_text(most * share, defaults.get('unit', ''))}</text>"
            for share in (0, 0.5, 1) for y in [bottom - share * (bottom - top)]
        )  # fmt: skip
        times = "".join(
            f"<text x='{left + share * (width - left - 14):.0f}' y='{bottom + 14}' text-anchor='middle' font-size='10.5' fill='#6b7078'>"
            f"-{(1 - share) * (self.end - self.start):.0f} s</text>"
            for share in (0, 0.5, 1)
        )
        return f"<svg width='{width}' height='{height - 24}'>{grid}{times}{''.join(paths)}</svg><div class='legend'>{''.join(legend)}</div>"

    @staticmethod
    def _most(lines: list[tuple[str, list[tuple[float, float]]]], stacked: bool) -> float:
        if not stacked:
            return max(value for _, points in lines for _, value in points)
        sums: dict[int, float] = {}
        for _, points in lines:
            for moment, value in points:
                sums[round(moment)] = sums.get(round(moment), 0.0) + value
        return max(sums.values())

    def _state_timeline(self, panel: dict[str, Any], width: int, height: int) -> str:
        lines = self._lines(panel)
        if not lines:
            return ""
        left = 150
        each = min(34, (height - 10) // max(1, len(lines)))
        shapes = []
        for index, (name, points) in enumerate(lines):
            y = 4 + index * each
            shapes.append(
                f"<text x='{left - 8}' y='{y + each / 2 + 4}' text-anchor='end' font-size='11.5'>{html.escape(name[:22])}</text>"
            )
            for moment, value in points:
                word = self._word(panel, value) or ("", COLOURS["text"])
                x = left + (moment - self.start) / (self.end - self.start) * (width - left - 14)
                step = (width - left - 14) / (self.end - self.start) + 0.6
                shapes.append(
                    f"<rect x='{x:.1f}' y='{y}' width='{step:.1f}' height='{each - 5}' fill='{word[1]}' fill-opacity='.85'/>"
                )
        return f"<svg width='{width}' height='{height}'>{''.join(shapes)}</svg>"


def take(chromium: str, pages: dict[str, str], folder: Path) -> None:
    """Write each page as a PNG."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 24 * CELL + 24, "height": 800})
        for name, text in pages.items():
            page.set_content(text)
            page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
        browser.close()
