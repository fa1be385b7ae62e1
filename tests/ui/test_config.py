"""Editing the configuration: errors where they are, a preview, a save that disturbs nobody, and the way back."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.gate import Gate, to
from ui.stand import Server, config, serving

STREAM = """async () => {
  const messages = [{ role: 'user', content: 'Tell me a long story.' }];
  const body = JSON.stringify({ model: 'smollm2', stream: true, ignore_eos: true, max_tokens: 1900, messages });
  const headers = { 'Content-Type': 'application/json' };
  const abort = new AbortController();
  const response = await fetch('/v1/chat/completions', { method: 'POST', headers, body, signal: abort.signal });
  window.story = { chunks: 0, over: false, abort };
  void (async () => {
    for await (const chunk of response.body) window.story.chunks += 1;
    window.story.over = true;
  })().catch(() => (window.story.over = true));
  return response.status;
}"""
"""A story that is longer than the test; `window.story` says how far it is."""

PASTE = """(editor, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData('text/plain', text);
  editor.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
}"""


def replace_all(page: Page, text: str) -> None:
    editor = page.get_by_role("textbox", name="Configuration")
    editor.focus()
    page.keyboard.press("ControlOrMeta+a")
    editor.evaluate(PASTE, text)


def test_an_error_then_a_good_one_while_an_answer_streams(page: Page, tmp_path: Path) -> None:
    text = config(start_port=free_run(8).start)
    with serving(tmp_path, text) as server:
        page.goto(f"{server.url}/ui/config")
        verdict, save = page.get_by_test_id("verdict"), page.get_by_role("button", name="Save")
        expect(verdict).to_have_text("valid")
        assert page.evaluate(STREAM) == 200
        page.wait_for_function("() => window.story.chunks > 3")

        replace_all(page, text.replace("ttl: 600", "ttl: -4"))
        expect(verdict).to_have_text("1 error")
        expect(save).to_be_disabled()
        expect(page.get_by_role("tabpanel")).to_contain_text("models.smollm2.ttl")
        expect(page.locator(".cm-lintRange-error")).to_be_visible()

        replace_all(page, text.replace("ttl: 600", "ttl: 900"))
        expect(verdict).to_have_text("valid")
        expect(page.get_by_role("tabpanel")).to_contain_text("smollm2 changes without a restart")
        save.click()
        expect(page.get_by_text("Saved and taken over")).to_be_visible()
        assert "ttl: 900" in server.config.read_text()
        told = page.evaluate("window.story.chunks")
        page.wait_for_function("told => window.story.chunks > told + 3", arg=told)
        assert not page.evaluate("window.story.over")
        page.evaluate("window.story.abort.abort()")

        page.get_by_role("tab", name="Backups").click()
        page.get_by_role("button", name="Compare with").click()
        expect(page.get_by_role("dialog")).to_contain_text("ttl: 900")
        page.get_by_role("button", name="Take it into the editor").click()
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            save.click()
        expect(page.get_by_role("textbox", name="Configuration")).to_contain_text("ttl: 600")
        assert server.config.read_text() == text


def test_the_form_edits_the_same_text(page: Page, tmp_path: Path) -> None:
    text = config(start_port=free_run(8).start)
    with serving(tmp_path, text) as server:
        page.goto(f"{server.url}/ui/config?model=smollm2")
        context = page.get_by_label("Context (tokens)")
        expect(context).to_have_value("2048")
        context.fill("1024")
        page.get_by_role("combobox", name="Group").select_option("")
        page.get_by_role("tab", name="What will happen").click()
        expect(page.get_by_role("tabpanel")).to_contain_text("smollm2 has a new command")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved and taken over")).to_be_visible()
        expected = text.replace("2048 --threads 1 --jinja", "1024 --threads 1 --jinja")
        expected = expected.replace("context: 2048", "context: 1024", 1).replace("[smollm2, gemma]", "[gemma]")
        assert server.config.read_text() == expected


def test_keys_are_completed_from_the_schema(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/config")
    page.get_by_role("textbox", name="Configuration").focus()
    page.keyboard.press("ControlOrMeta+End")
    page.keyboard.type("healthCh")
    page.get_by_role("option", name="healthCheckTimeout").click()
    expect(page.get_by_role("textbox", name="Configuration")).to_contain_text("healthCheckTimeout: ")


def test_a_change_by_another_hand_is_noticed(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, f"startPort: {free_run(8).start}\n") as server:
        page.goto(f"{server.url}/ui/config")
        editor = page.get_by_role("textbox", name="Configuration")
        expect(editor).to_contain_text("startPort")
        replace_all(page, server.config.read_text() + "logLevel: debug\n")
        server.config.write_text(server.config.read_text() + "globalTTL: 60\n")
        expect(page.get_by_text("The file was changed elsewhere")).to_be_visible()
        page.get_by_role("button", name="Take the file").click()
        expect(editor).to_contain_text("globalTTL: 60")
        expect(editor).not_to_contain_text("logLevel")


def test_what_is_typed_while_it_is_saved_is_not_saved(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, f"startPort: {free_run(8).start}\n") as server:
        page.goto(f"{server.url}/ui/config")
        editor = page.get_by_role("textbox", name="Configuration")
        expect(editor).to_contain_text("startPort")
        saved = f"{server.config.read_text()}logLevel: debug\n"
        replace_all(page, saved)
        gate = Gate(page, to("/api/config", "PUT"))
        with gate.closes():
            page.get_by_role("button", name="Save").click()
        editor.focus()
        page.keyboard.press("ControlOrMeta+End")
        page.keyboard.type("# more")
        gate.open()
        expect(page.get_by_text("Saved and taken over")).to_be_visible()
        expect(page.get_by_role("button", name="Save")).to_be_enabled()
        assert server.config.read_text() == saved
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            page.get_by_role("button", name="Save").click()
        assert server.config.read_text().rstrip() == f"{saved}# more"
