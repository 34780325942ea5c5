"""The page in headless Chromium: every click, the keyboard, dark mode, paper; and that it asks for nothing."""

import csv
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from scprism import Prism, compare, enrich
from scprism.read.synthetic import Simulation, simulate_cells
from scprism.report.page import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the path")

SCRIPT = "<script>window.broken = 1</script>"
IMAGE = "<img src=x onerror='window.broken = 1'>"
N_REFERENCE, N_QUERY = 400, 160


@pytest.fixture(scope="module")
def made():
    """The arguments of `write_report`: names that are markup, known labels, samples, conditions."""
    cells = simulate_cells(Simulation(n_cells=N_REFERENCE, n_programs=3), rng=0)
    types = cells.obs["cell_type"].astype(str)
    cells.obs["kind"] = types.replace({types.unique()[0]: SCRIPT}).to_numpy()
    model = Prism(genes="all", organism="human", max_epochs=1, hidden_size=8, runs=6, device="cpu", rng=0).fit(cells)
    query = cells[:N_QUERY].copy()
    query.obs["condition"] = np.where(query.obs["kind"] == SCRIPT, IMAGE, "control")
    query.obs["donor"] = np.resize(list("abcd"), query.n_obs)
    query.obs["depth"] = np.arange(query.n_obs, dtype=float)
    query.obs_names = [f"{name} {IMAGE}" if i % 2 else str(name) for i, name in enumerate(query.obs_names)]
    view, known = model.view(query), model.view(cells)
    labels = view.label(reference=known, labels="kind")
    labels.table.iloc[:6, labels.table.columns.get_loc("novel")] = True
    why = view.explain(groupby=labels["label"])
    return SimpleNamespace(
        model=model,
        explanation=why,
        enrichment=enrich(why, {f"set {IMAGE}": list(query.var_names[:40])}, rng=0),
        embedding=view.embed(),
        cells=view,
        labels=labels,
        reference=known,
        reference_labels="kind",
        truth="kind",
        sample="donor",
        comparison=compare(model, view, groupby="condition", reference="control", replicate="donor"),
        made_by={"query": f"{SCRIPT}.h5ad", "command": f"scprism run {IMAGE}"},
    )


@pytest.fixture(scope="module", params=["vector", "WebGL"])
def path(request, made, tmp_path_factory):
    """The page, its cells as vector shapes or drawn by WebGL."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "WebGL":
            patch.setattr("scprism.report.embedding.MAX_SVG_POINTS", 10)
        target = tmp_path_factory.mktemp("page") / "report.html"
        write_report(target, **vars(made))
    return target


@pytest.fixture(scope="module")
def browser():
    gl = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
    with playwright.sync_playwright() as library:
        running = library.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *gl])
        yield running
        running.close()


@pytest.fixture
def opened(browser, path):
    """A function that opens the page; when the test ends nothing may have gone wrong, been asked for, or been run."""
    contexts, said = [], []

    def open_page(*, width=1400, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: said.append(request.url) if leaves(request.url, path) else None)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        return page

    yield open_page
    for context in contexts:
        assert [one.evaluate("window.broken") for one in context.pages] == [None]
        context.close()
    # the driver of a GPU that is not there speaks of its own speed
    assert [text for text in said if "GPU stall" not in text and "GL Driver" not in text] == []


@pytest.fixture
def page(opened):
    return opened()


def leaves(url, path):
    return url != path.as_uri() and not url.startswith(("data:", "blob:"))


def plot(page):
    return page.locator("#figure-embedding")


def colour(page):
    return plot(page).get_attribute("data-colour")


def chosen(page):
    return plot(page).get_attribute("data-chosen")


def ends(page):
    """Return what the embedding shows from left to right."""
    return page.evaluate("document.getElementById('figure-embedding')._fullLayout.xaxis.range.slice()")


def place(page, name):
    """Return where a cell of the embedding is in the window."""
    plot(page).scroll_into_view_if_needed()
    script = """(name) => {
      const plot = document.getElementById("figure-embedding"), axes = plot._fullLayout;
      const cells = plot.data.filter((trace) => trace.text);
      const points = cells.flatMap((trace) => trace.text.map((text, i) => [trace.x[i], trace.y[i], text]));
      const data = points.find((point) => point[2].startsWith("<b>" + escaped(name) + "</b>"));
      const box = plot.getBoundingClientRect(), { xaxis, yaxis } = axes;
      return [box.x + xaxis._offset + xaxis.d2p(data[0]), box.y + yaxis._offset + yaxis.d2p(data[1])];
    }"""
    return page.evaluate(script, name)


def test_colours_can_be_any_column(page, made):
    options = page.locator("#colour-by option").evaluate_all("(nodes) => nodes.map((node) => node.value)")
    units = [f"unit:{name}" for name in made.model.units.index]
    assert options[:4] == ["label", "origin", "confidence", "novel"]
    assert options[4 : 4 + len(units)] == units
    assert {"obs:kind", "obs:condition", "obs:donor", "obs:depth"} <= set(options)
    assert any(option.startswith("gene:") for option in options)
    for option in options:
        page.select_option("#colour-by", option)
        assert colour(page) == option


def test_a_unit_is_shown_in_the_embedding_from_its_card_and_from_the_table(page):
    page.click("#unit-U02 button.map")
    assert colour(page) == "unit:U02"
    assert page.evaluate("document.activeElement.id") == "figure-embedding"
    assert page.locator("#panel h3").inner_text().startswith("unit U02")
    page.locator("#panel button", has_text="Back to where I was").click()
    assert page.evaluate("document.activeElement.dataset.show") == "unit:U02"
    page.click("#unit-U01 .card-head button.show")
    assert colour(page) == "unit:U01"
    page.click("#conditions .answers button.show, #conditions table button.show >> nth=0")
    assert colour(page).startswith("unit:")


def test_a_label_of_a_table_chooses_its_cells(page, made):
    page.locator('[data-name="labels"] button.show', has_text=SCRIPT).click()
    n = (made.labels["label"] == SCRIPT).sum() + (made.reference.cells.obs["kind"] == SCRIPT).sum()
    assert chosen(page) == str(n)
    assert page.locator("#panel h3").inner_text() == f"{SCRIPT}: {n} cells"
    assert page.locator("#panel ul").inner_text() == f"{SCRIPT} {n}"
    page.keyboard.press("Escape")
    assert chosen(page) == ""


def test_an_odd_cell_is_shown_with_its_reason(page):
    row = page.locator("table.odd tbody tr").nth(0)
    name, why = row.get_attribute("data-cell"), row.locator(".why").inner_text()
    row.locator("button.show").nth(0).click()
    assert chosen(page) == name
    assert why in page.locator("#panel").inner_text()
    page.click('[data-show="odd:all"]')
    assert chosen(page) == str(page.locator("table.odd tbody tr").count())


def test_a_click_on_a_cell_says_what_it_is(page, made):
    name = made.cells.cells.obs_names[8]
    clicked = place(page, name)
    page.mouse.click(*clicked)
    page.wait_for_selector("#figure-embedding[data-chosen]:not([data-chosen=''])")
    text = page.locator("#panel").inner_text()
    found = page.locator("#panel h3").inner_text()
    assert found == chosen(page)
    assert np.hypot(*np.subtract(place(page, found), clicked)) < 8
    if "reference" in text:  # its twin, which lies in the same place
        assert found in made.reference.cells.obs_names
    else:
        assert f"{made.labels.table.loc[found, 'confidence']:.2f}" in text


def test_cells_in_the_lasso_are_described(page, made):
    page.click("#embedding-tools button >> text=Lasso")
    assert page.locator("#embedding-tools button >> text=Lasso").get_attribute("aria-pressed") == "true"
    plot(page).scroll_into_view_if_needed()
    box = page.locator("#figure-embedding .nsewdrag").bounding_box()
    left, top = box["x"] + 3, box["y"] + 3
    right, bottom = left + box["width"] - 6, top + box["height"] - 6
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    page.wait_for_selector("#figure-embedding[data-chosen]:not([data-chosen=''])")
    assert chosen(page) == str(N_REFERENCE + N_QUERY)
    assert page.locator("#panel h3").inner_text() == f"Selection: {N_REFERENCE + N_QUERY} cells"
    with page.expect_download() as download:
        page.click("#panel button.csv")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [row["cell"] for row in rows[N_REFERENCE:]] == list(made.cells.cells.obs_names)
    assert [row["label"] for row in rows[N_REFERENCE:]] == made.labels["label"].tolist()


def test_a_part_of_the_cells_is_told_from_the_others_by_its_units(page, made):
    page.select_option("#select", "novel")
    assert chosen(page) == "6"
    values = made.cells.activity().to_numpy()
    inside = np.arange(N_QUERY) < 6
    scale = np.sqrt(((values - np.where(inside[:, None], values[:6].mean(0), values[6:].mean(0))) ** 2).mean(0))
    effects = (values[:6].mean(0) - values[6:].mean(0)) / np.where(scale > 0, scale, np.inf)
    first = page.locator("#panel table >> nth=0").locator("tbody tr").nth(0)
    best = int(effects.argmax())
    assert first.locator("button").get_attribute("data-show") == f"unit:{made.model.units.index[best]}"
    assert first.locator("td").nth(0).inner_text() == f"{values[:6, best].mean():.2f}"
    assert first.locator("td").nth(1).inner_text() == f"{values[6:, best].mean():.2f}"


def test_cells_labels_units_and_genes_are_found_by_name(page, made):
    name = made.cells.cells.obs_names[3]
    gene = next(
        o for o in page.locator("#colour-by option").evaluate_all("(n) => n.map((o) => o.value)") if "gene:" in o
    )
    for wanted, check in (
        (name, lambda: chosen(page) == name),
        ("u03", lambda: colour(page) == "unit:U03"),
        (gene.removeprefix("gene:"), lambda: colour(page) == gene),
        (SCRIPT, lambda: colour(page) == "label"),
    ):
        page.fill("#find", wanted)
        page.press("#find", "Enter")
        assert check(), wanted
    page.fill("#find", "nobody")
    page.press("#find", "Enter")
    assert "No cell, label, unit or gene" in page.evaluate("document.getElementById('find').validationMessage")


def test_tables_sort_filter_and_download(page, made):
    table = page.locator('table[data-name="labels"]')

    def column(n):
        return table.locator("tbody tr").evaluate_all(f"(rows) => rows.map((row) => row.cells[{n}].textContent)")

    cells = made.labels["label"].value_counts()
    table.locator("button.sort", has_text="Query cells").click()
    assert [int(text) for text in column(2)] == sorted(cells, reverse=True)
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    table.locator("button.sort", has_text="Query cells").click()
    assert [int(text) for text in column(2)] == sorted(cells)
    table.locator("button.sort", has_text="Label").click()
    assert column(0)[0] == SCRIPT
    assert sorted(column(0)) == sorted(cells.index)

    odd = page.locator("#odd")
    n = odd.locator("tbody tr").count()
    odd.locator("input[type=search]").fill("NOVEL")
    n_novel = odd.locator("tbody tr:not([hidden])").count()
    assert 0 < n_novel <= n
    assert odd.locator("[role=status]").inner_text() == f"{n_novel} of {n} rows"
    with page.expect_download() as download:
        odd.locator("button.csv").click()
    assert download.value.suggested_filename == "odd-cells.csv"
    rows = list(csv.reader(download.value.path().read_text().splitlines()))
    assert rows[0][:3] == ["Cell", "Label", "Why it is odd"]
    assert len(rows) == 1 + n_novel
    assert all("novel" in row[2] for row in rows[1:])


@pytest.mark.parametrize("place", ["#embedding-tools", "#verdict figure .tools"])
def test_figures_are_saved_as_svg_and_png(page, place):
    for form, begin in (("svg", b"<svg"), ("png", b"\x89PNG")):
        with page.expect_download() as download:
            page.locator(place).first.locator(f'button[data-format="{form}"]').click()
        assert download.value.suggested_filename.endswith(form)
        assert download.value.path().read_bytes().startswith(begin)


def test_the_wheel_zooms_and_a_button_shows_all_again(page):
    def width():
        low, high = ends(page)
        return high - low

    plot(page).scroll_into_view_if_needed()
    box, before = plot(page).bounding_box(), width()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(500)
    assert width() < 0.95 * before
    page.click("#embedding-tools button >> text=Show all")
    page.wait_for_timeout(300)
    assert width() == pytest.approx(before, rel=0.02)


def test_the_keyboard_reaches_and_moves_the_embedding(page):
    page.focus("#find")
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "figure-embedding":
            break
    assert page.evaluate("document.activeElement.id") == "figure-embedding"
    before = ends(page)
    page.keyboard.press("+")
    nearer = ends(page)
    assert nearer[1] - nearer[0] == pytest.approx(0.7 * (before[1] - before[0]))
    page.keyboard.press("ArrowRight")
    assert ends(page)[0] > nearer[0]
    page.focus("#unit-U01 button.map")
    page.keyboard.press("Enter")
    assert colour(page) == "unit:U01"
    everything, reached = page.locator("[data-show]").count(), page.locator('button[data-show]:not([tabindex="-1"])')
    assert reached.count() == everything


def test_dark_mode_is_followed_also_while_the_page_is_open(opened):
    page = opened(scheme="dark")
    script = """[getComputedStyle(document.body).backgroundColor,
      ...Array.from(document.querySelectorAll(".plot"), (node) => node._fullLayout.paper_bgcolor)]"""
    assert {text.replace(" ", "") for text in page.evaluate(script)} <= {"rgb(21,27,32)", "#151b20"}
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(500)
    assert {text.replace(" ", "") for text in page.evaluate(script)} <= {"rgb(255,255,255)", "#ffffff"}


@pytest.mark.parametrize("width", [390, 900, 1400])
def test_nothing_is_wider_than_the_window(opened, width):
    page = opened(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_pictures_of_cards_are_drawn_when_they_come_near(page):
    card = page.locator("#unit-U01 canvas")
    card.scroll_into_view_if_needed()
    page.wait_for_selector("#unit-U01 canvas[data-drawn]")
    colours = card.evaluate(
        "(node) => new Set(node.getContext('2d').getImageData(0, 0, node.width, node.height).data).size"
    )
    assert colours > 20


def test_paper_has_whole_tables_and_white_figures(opened, tmp_path):
    page = opened(scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll.tall')).overflowY") == "visible"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    figures = page.evaluate("Array.from(document.querySelectorAll('.plot'), (node) => node._fullLayout.paper_bgcolor)")
    assert set(figures) == {"#ffffff"}
    page.pdf(path=tmp_path / "paper.pdf")
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")


def test_without_javascript_all_tables_are_there(browser, path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator("noscript").inner_text().startswith("The figures are drawn by JavaScript")
    assert page.locator("table.odd tbody tr").count() > 0
    assert page.locator("table.odd").is_visible()
    context.close()
