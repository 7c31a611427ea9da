"""How our panels look, once: colours, units, empty states, links. Dashboards only say what they show.

Colours are Grafana's own names, which it fits to its light and its dark theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.models import common as c
from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from alerts.rules.alert import RUNBOOKS
from monitor.health.causes import TABLE

SOURCE = d.DataSourceRef(type_val="prometheus", uid="${datasource}")
RATE = "$__rate_interval"

GREEN, ORANGE, RED, GREY, BLUE = "green", "orange", "red", "text", "blue"
CAUSES = {cause.value: row.colour for cause, row in TABLE.items()}
OWNERS = {"client": "semi-dark-orange", "operator": "semi-dark-red", "provider": "semi-dark-blue"}

TO_CONNECTION = (
    "Open this connection",
    "/d/token-health-connection?${datasource:queryparam}&var-connection=${__data.fields.connection}",
)
TO_RUNBOOK = ("Open the runbook", f"{RUNBOOKS}/${{__data.fields.alertname}}.md")


def target(expr: str, legend: str = "", ref: str = "A", *, instant: bool = False, grid: bool = False) -> Any:
    """Return a query; `grid` gives rows of a table, with a column a label."""
    query = prometheus.Dataquery().expr(expr).ref_id(ref).legend_format(legend or "__auto").datasource(SOURCE)
    query = query.instant() if instant or grid else query.range().exemplar(True)
    return query.format(PromQueryFormat.TABLE if grid else PromQueryFormat.TIME_SERIES)


def thresholds(*steps: tuple[float | None, str]) -> Any:
    """Return thresholds: from each value on, this colour; the first has none."""
    return (
        dashboard.ThresholdsConfig()
        .mode(d.ThresholdsMode.ABSOLUTE)
        .steps([d.Threshold(value=value, color=colour) for value, colour in steps])
    )


BAD_ABOVE_0 = thresholds((None, GREEN), (1, RED))
WARN_ABOVE_0 = thresholds((None, GREEN), (1, ORANGE))


def links(*pairs: tuple[str, str]) -> list[Any]:
    """Return data links: a title and where it leads."""
    return [dashboard.DashboardLink(title).url(url) for title, url in pairs]


def number(
    title: str,
    expr: str,
    about: str,
    *,
    unit: str = "short",
    steps: Any = None,
    width: int = 4,
    empty: str = "none",
    decimals: int | None = None,
    link: Sequence[tuple[str, str]] = (),
    names: Mapping[str, tuple[str, str]] | None = None,
    legend: str = "",
) -> Any:
    """One figure, with its last hours behind it. `names` puts words and colours in the place of values."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target(expr, legend))
        .unit(unit)
        .thresholds(steps or thresholds((None, BLUE)))
        .color_mode(c.BigValueColorMode.VALUE)
        .graph_mode(c.BigValueGraphMode.AREA if names is None else c.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .no_value(empty)
        .height(4)
        .span(width)
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    if link:
        panel = panel.data_links(links(*link))
    if names is not None:
        panel = panel.mappings([_words(names)])
    if legend:
        panel = panel.text_mode(c.BigValueTextMode.VALUE_AND_NAME)
    return panel


def _words(names: Mapping[str, tuple[str, str]]) -> d.ValueMap:
    return d.ValueMap(
        options={
            value: d.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, (word, colour)) in enumerate(names.items())
        }
    )


def series(
    title: str,
    about: str,
    *queries: tuple[str, str],
    unit: str = "short",
    stacked: bool = False,
    colours: Mapping[str, str] | None = None,
    width: int = 12,
    height: int = 8,
    empty: str = "Nothing in this time",
    steps: Any = None,
    minimum: float | None = 0,
    link: Sequence[tuple[str, str]] = (),
) -> Any:
    """Lines over time: each query with its legend."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .line_width(1)
        .fill_opacity(60 if stacked else 8)
        .show_points(c.VisibilityMode.NEVER)
        .span_nulls(False)
        .no_value(empty)
        .legend(
            common.VizLegendOptions()
            .display_mode(c.LegendDisplayMode.TABLE)
            .placement(c.LegendPlacement.RIGHT if width > 12 else c.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(c.TooltipDisplayMode.MULTI).sort(c.SortOrder.DESCENDING))
        .height(height)
        .span(width)
    )
    if minimum is not None:
        panel = panel.min(minimum)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(c.StackingMode.NORMAL))
    if steps is not None:
        panel = panel.thresholds(steps).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(c.GraphThresholdsStyleMode.DASHED)
        )
    if link:
        panel = panel.data_links(links(*link))
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(
            name, [d.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})]
        )
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(target(expr, legend, chr(ord("A") + index)))
    return panel


def grid(
    title: str,
    about: str,
    expr: str,
    columns: Mapping[str, str],
    *,
    unit: str = "short",
    width: int = 12,
    height: int = 8,
    empty: str = "None",
    link: Sequence[tuple[str, str]] = (),
    descending: bool = True,
    value: str = "",
) -> Any:
    """A table of one instant: `columns` are labels with their headings; `value` heads the figure."""
    order = {name: index for index, name in enumerate([*columns, "Value"])}
    hidden = {"Time": True, "__name__": True, "job": True, "instance": True} | (
        {} if value else {"Value": True}
    )
    panel = (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target(expr, grid=True))
        .no_value(empty)
        .filterable(True)
        .height(height)
        .span(width)
        .with_transformation(
            d.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": hidden,
                    "indexByName": order,
                    "renameByName": {**columns, "Value": value or "Value"},
                },
            )
        )
    )
    if value:
        panel = panel.override_by_name(
            value,
            [
                d.DynamicConfigValue(id_val="unit", value=unit),
                d.DynamicConfigValue(id_val="decimals", value=0),
                d.DynamicConfigValue(id_val="custom.width", value=140),
            ],
        ).sort_by([common.TableSortByFieldState().display_name(value).desc(descending)])
    if link:
        panel = panel.data_links(links(*link))
    return panel


def bars(
    title: str,
    about: str,
    *queries: tuple[str, str],
    unit: str = "short",
    steps: Any = None,
    width: int = 12,
    height: int = 8,
    empty: str = "0",
) -> Any:
    """Bars of one instant, one below the other: each query with its name."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .orientation(c.VizOrientation.HORIZONTAL)
        .display_mode(c.BarGaugeDisplayMode.GRADIENT)
        .show_unfilled(True)
        .thresholds(steps or thresholds((None, BLUE)))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .no_value(empty)
        .height(height)
        .span(width)
    )
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(target(expr, legend, chr(ord("A") + index), instant=True))
    return panel


def timeline(
    title: str,
    about: str,
    *queries: tuple[str, str],
    names: Mapping[str, tuple[str, str]],
    width: int = 24,
    height: int = 6,
    empty: str = "Nothing in this time",
) -> Any:
    """What was when: a row a series, its values as words and colours."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .mappings([_words(names)])
        .show_value(c.VisibilityMode.AUTO)
        .merge_values(True)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .no_value(empty)
        .legend(
            common.VizLegendOptions()
            .show_legend(False)
            .display_mode(c.LegendDisplayMode.LIST)
            .placement(c.LegendPlacement.BOTTOM)
        )
        .height(height)
        .span(width)
    )
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(target(expr, legend, chr(ord("A") + index)))
    return panel


def words(title: str, markdown: str, *, width: int = 24, height: int = 3) -> Any:
    """A text of ours."""
    return (
        text.Panel()
        .title(title)
        .content(markdown)
        .mode(TextMode.MARKDOWN)
        .transparent(True)
        .height(height)
        .span(width)
    )


def variable(name: str, label: str, metric: str, *, of: str = "", many: bool = True) -> Any:
    """Return a variable with the values of a label; `of` narrows it by other variables."""
    query = f"label_values({metric}{of}, {name})"
    found = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": "A"})
        .refresh(d.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(d.VariableSort.ALPHABETICAL_ASC)
    )
    if many:
        return (
            found.multi(True)
            .include_all(True)
            .all_value(".*")
            .current(d.VariableOption(text=["All"], value=["$__all"], selected=True))
        )
    return found


def frame(uid: str, title: str, about: str) -> Any:
    """Return an empty dashboard of ours: time, links to the others, the data source, annotations."""
    return (
        dashboard.Dashboard(f"Token Health / {title}")
        .uid(uid)
        .description(about)
        .tags(["token-health"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(d.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(
            dashboard.DashboardLink("Token Health")
            .type(d.DashboardLinkType.DASHBOARDS)
            .tags(["token-health"])
            .keep_time(True)
        )
        .link(
            dashboard.DashboardLink("Runbooks")
            .type(d.DashboardLinkType.LINK)
            .url(f"{RUNBOOKS}/README.md")
            .icon("doc")
            .target_blank(True)
        )
        .annotation(
            dashboard.AnnotationQuery()
            .name("Incidents")
            .datasource(SOURCE)
            .expr("token_health:incident_connections:max > 0")
            .icon_color(RED)
            .enable(True)
        )
        .annotation(
            dashboard.AnnotationQuery()
            .name("Silences and maintenance")
            .datasource(SOURCE)
            .expr(
                "max by (over, provider, app, client, connection, maintenance) (token_health_silence_active) > 0"
            )
            .icon_color(BLUE)
            .enable(True)
        )
        .annotation(
            dashboard.AnnotationQuery()
            .name("Deploys")
            .datasource(SOURCE)
            .expr(
                "max by (version, python) (token_health_build_info) unless "
                "max by (version, python) (token_health_build_info offset 5m)"
            )
            .icon_color("purple")
            .enable(True)
        )
    )
