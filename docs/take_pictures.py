"""The pictures of the README, taken in Chromium (`apt install chromium`).

    python docs/take_pictures.py
    python docs/take_pictures.py --board leaderboard/minicifar/leaderboard.html

The first opens the student edition of lab 3 in a real JupyterLab, types a wrong answer, runs its check, and photographs
what a student sees; the second photographs a leaderboard.
"""

import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from playwright.sync_api import Browser, Page, sync_playwright

from autograder.authoring.release import release
from course_utils.command_line import run_program

PICTURES = Path(__file__).parent / "pictures"
LAB = "lab3_l1_filters"
PORT = 8899
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def start_jupyter(folder: Path) -> subprocess.Popen:
    """JupyterLab on a folder, without a token, on this machine only; waits until it answers."""
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={PORT}", "--allow-root"]
    command += ["--IdentityProvider.token=", "--LabApp.news_url=", f"--ServerApp.root_dir={folder}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api", timeout=1)
            return server
        except OSError:
            time.sleep(0.5)
    server.terminate()
    raise SystemExit("JupyterLab did not start")


def cell(page: Page, text: str):  # type: ignore[no-untyped-def]
    """The code cell whose input holds `text`."""
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=text)).first


def run_cell(page: Page, text: str) -> None:
    """Click into a code cell and run it; wait until it is done."""
    target = cell(page, text)
    target.scroll_into_view_if_needed()
    target.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(500)
    for _ in range(600):
        if "*" not in target.locator(".jp-InputPrompt").inner_text():
            return
        page.wait_for_timeout(200)
    raise SystemExit(f"the cell with {text!r} did not finish")


def type_last_line(page: Page, function: str, line: str, replaces: int) -> None:
    """Replace the last lines of an answer by one line, by typing."""
    editor = cell(page, f"def {function}(").locator(".cm-content")
    editor.scroll_into_view_if_needed()
    editor.click()
    page.keyboard.press("Control+End")
    for _ in range(replaces):
        page.keyboard.press("Shift+Home")
        page.keyboard.press("Shift+Home")
        page.keyboard.press("Backspace")
        page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Home")
    page.keyboard.insert_text("    " + line)


def take(page: Page) -> None:
    page.goto(f"http://127.0.0.1:{PORT}/lab/tree/{LAB}.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
    page.wait_for_timeout(4_000)
    run_cell(page, "import copy")
    run_cell(page, "train_images, val_images")
    news = page.get_by_role("button", name="No", exact=True)  # JupyterLab asks once whether it may fetch news
    if news.count():
        news.click()
    type_last_line(page, "filter_l1_norms", "return weight.sum(dim=(1, 2, 3))", replaces=2)
    run_cell(page, "def filter_l1_norms(")
    run_cell(page, 'check("filter_l1_norms")')
    page.wait_for_timeout(1_500)
    cell(page, "def filter_l1_norms(").evaluate("cell => cell.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(800)
    page.screenshot(path=str(PICTURES / "failed_check.png"))
    type_last_line(page, "filter_l1_norms", "return weight.abs().sum(dim=(1, 2, 3))", replaces=1)
    run_cell(page, "def filter_l1_norms(")
    run_cell(page, 'check("filter_l1_norms")')
    run_cell(page, "plots.filter_ranking")
    run_cell(page, "plots.filter_gallery")
    page.wait_for_timeout(1_500)
    cell(page, 'check("filter_l1_norms")').evaluate("cell => cell.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(800)
    page.screenshot(path=str(PICTURES / "lab3.png"))


def take_lab(browser: Browser) -> None:
    with TemporaryDirectory() as folder:
        release(LAB, Path(folder))
        server = start_jupyter(Path(folder) / "release" / LAB)
        try:
            take(browser.new_page(viewport={"width": 1180, "height": 820}))
        finally:
            server.terminate()
            server.wait()


def take_board(browser: Browser, board: Path) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 820})
    page.goto(board.resolve().as_uri())
    page.screenshot(path=str(PICTURES / "leaderboard.png"))


def main(board: Annotated[Path | None, typer.Option(help="The page of a leaderboard.")] = None) -> None:
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        if board:
            take_board(browser, board)
        else:
            take_lab(browser)
        browser.close()


if __name__ == "__main__":
    run_program(main)
