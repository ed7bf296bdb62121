"""The report in a real browser, from disk: no errors, no overflow, dark mode, print, words for every picture."""

import base64
import re
from typing import Any

import pytest

from flipcore.report import write_report
from tests.report_folders import comparison

WIDTHS = (360, 768, 1400)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of the report of a comparison."""
    folder = tmp_path_factory.mktemp("report")
    return write_report([comparison(folder / "cmp")], folder / "out").as_uri()


def show(driver: Any, page: str, width: int = 1400, scheme: str = "light") -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get(page)


def test_nothing_is_logged_and_nothing_fetched(driver: Any, page: str) -> None:
    driver.get_log("performance")
    show(driver, page)
    assert driver.get_log("browser") == []
    requests = re.findall(
        r'"url":"((?:https?|ftp|ws):[^"]*)"', "".join(one["message"] for one in driver.get_log("performance"))
    )  # fmt: skip
    assert requests == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_window(driver: Any, page: str, width: int) -> None:
    show(driver, page, width)
    wide, room = driver.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width - 20 <= room <= width  # a scroll bar takes some
    assert wide <= room
    driver.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= room


def test_text_in_charts_is_legible_on_a_phone(driver: Any, page: str) -> None:
    show(driver, page, 360)
    heights = driver.execute_script(
        "return [...document.querySelectorAll('figure > svg')].flatMap(svg => {"
        "  const scale = svg.getScreenCTM().a;"
        "  return [...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize) * scale)})"
    )
    assert len(heights) > 100
    assert min(heights) >= 9.0


def test_text_stays_within_its_chart(driver: Any, page: str) -> None:
    show(driver, page)
    outside = driver.execute_script(
        "return [...document.querySelectorAll('figure > svg')].flatMap(svg => {"
        "  const box = svg.getBoundingClientRect();"
        "  return [...svg.querySelectorAll('text')].filter(text => {"
        "    const own = text.getBoundingClientRect();"
        "    return own.left < box.left - 2 || own.right > box.right + 2 || own.top < box.top - 2 || own.bottom > box.bottom + 2"
        "  }).map(text => text.textContent)})"
    )
    assert outside == []


def brightness(colour: str) -> float:
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_and_ink_follow_the_reader(driver: Any, page: str, scheme: str) -> None:
    show(driver, page, scheme=scheme)
    paper, ink, tick = driver.execute_script(
        "const style = element => getComputedStyle(element);"
        "return [style(document.body).backgroundColor, style(document.body).color,"
        "  style(document.querySelector('figure > svg text')).fill]"
    )
    assert tick == ink
    contrast = (max(map(brightness, (paper, ink))), min(map(brightness, (paper, ink))))
    assert contrast[0] > 0.85
    assert contrast[1] < 0.15
    assert (brightness(paper) < brightness(ink)) == (scheme == "dark")


def test_it_prints_on_several_pages(driver: Any, page: str) -> None:
    show(driver, page, scheme="dark")
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1


def test_every_picture_has_words(driver: Any, page: str) -> None:
    show(driver, page)
    pictures = driver.execute_script(
        "return [...document.querySelectorAll('figure > svg, img')].map(picture =>"
        "  [picture.getAttribute('role') ?? 'img', picture.getAttribute('aria-label') ?? picture.alt,"
        "   picture.closest('figure').querySelector('figcaption').textContent])"
    )
    assert len(pictures) == 10
    for role, words, caption in pictures:
        assert role == "img"
        assert len(words) > 40
        assert len(caption) > 40


def test_numbers_open_without_scripts(driver: Any, page: str) -> None:
    show(driver, page)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(page)
        summary = driver.find_element("css selector", "#figure-accuracy summary")
        table = driver.find_element("css selector", "#figure-accuracy details table")
        assert not table.is_displayed()
        summary.click()
        assert table.is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
