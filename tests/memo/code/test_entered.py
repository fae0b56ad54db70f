"""What a body enters, as it is seen while it runs: in real processes, with several versions of Python in CI."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_BEGIN = """
import asyncio, contextvars, functools, importlib, sys, threading
from hitsave.memoisation.code.entered import Entered, entered_here, own_code, unknown, reconsider
from hitsave.memoisation.code.origin import Origins
own = own_code(Origins())
def names(entered):
    return sorted(f"{e.namespace['__name__']}.{e.qualname}" for e in entered.entries)
def show(entered):
    print(*names(entered))
"""
_PLUGINS = {
    "plugins/__init__.py": "",
    "plugins/a.py": """
        def handle(x): return helper(x)
        def helper(x): return x + 1
        def other(x): return x
        class Kind:
            def run(self): return 3
        """,
}


def run(folder: Path, program: str, files: dict[str, str] | None = None) -> list[str]:
    """The lines that a program prints; it runs in a folder with the plugins."""
    for name, text in {**_PLUGINS, **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    (folder / "main.py").write_text(_BEGIN + textwrap.dedent(program))
    done = subprocess.run([sys.executable, "main.py"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("getattr(sys.modules['plugins.a'], 'han' + 'dle')(1)", "plugins.a.handle plugins.a.helper"),
        ("getattr(sys.modules['plugins.a'], 'Ki' + 'nd')().run()", "plugins.a.Kind.run"),
        ("sorted([2, 1]); ','.join('ab'); print(end='')", ""),
        ("list(map(getattr(sys.modules['plugins.a'], 'oth' + 'er'), [1, 2]))", "plugins.a.other"),
    ],
)
def test_own_functions_that_a_body_enters(tmp_path: Path, body: str, seen: str) -> None:
    program = f"""
        import plugins.a
        with Entered(own) as entered:
            {body}
        show(entered)
        """
    assert run(tmp_path, program) == [seen]


def test_what_ran_before_is_seen_again_by_each_block(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        a.other(1)
        for _ in range(3):
            with Entered(own) as entered:
                a.other(1)
                a.other(2)
            show(entered)
            a.other(1)
        with Entered(own) as entered:
            pass
        show(entered)
        """
    assert run(tmp_path, program) == ["plugins.a.other"] * 3 + [""]


def test_what_runs_outside_of_a_block_is_not_its(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        a.other(1)
        with Entered(own) as entered:
            a.helper(1)
        a.handle(1)
        show(entered)
        """
    assert run(tmp_path, program) == ["plugins.a.helper"]


def test_blocks_inside_of_others(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        with Entered(own) as outer:
            a.other(1)
            with Entered(own) as inner:
                a.helper(1)
            with Entered(own) as second:
                a.helper(1)
                a.other(1)
            with Entered(own) as third:
                pass
        for each in (outer, inner, second, third):
            show(each)
        """
    assert run(tmp_path, program) == [
        "plugins.a.helper plugins.a.other",
        "plugins.a.helper",
        "plugins.a.helper plugins.a.other",
        "",
    ]


def test_blocks_in_several_threads_at_once(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        turn = threading.Barrier(4)
        found = {}
        def work(number, functions):
            for round in range(20):
                turn.wait()
                with Entered(own) as entered:
                    turn.wait()
                    for function in functions:
                        for _ in range(50):
                            function(1)
                    turn.wait()
                found.setdefault(number, set()).add(" ".join(n for n in names(entered) if n.startswith("plugins")))
        threads = [threading.Thread(target=work, args=each) for each in enumerate(
            [[a.other], [a.helper], [a.other, a.helper], []])]
        for each in threads: each.start()
        for each in threads: each.join()
        for number in range(4):
            print(*found[number], sep=" | ")
        """
    assert run(tmp_path, program) == ["plugins.a.other", "plugins.a.helper", "plugins.a.helper plugins.a.other", ""]


def test_threads_that_a_body_begins(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        def pool(context):
            thread = threading.Thread(target=lambda: context.run(a.other, 1))
            thread.start()
            thread.join()
        with Entered(own) as entered:
            pool(contextvars.copy_context())
        print("plugins.a.other" in names(entered))
        with Entered(own) as entered:
            thread = threading.Thread(target=a.helper, args=(1,))
            thread.start()
            thread.join()
        print("plugins.a.helper" in names(entered))
        """
    assert run(tmp_path, program) == ["True", "True"]


def test_tasks_that_run_by_turns(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        async def work(function):
            with Entered(own) as entered:
                for _ in range(5):
                    await asyncio.sleep(0)
                    function(1)
            return " ".join(n for n in names(entered) if n.startswith("plugins"))
        async def main():
            return await asyncio.gather(*map(work, [a.other, a.helper, a.other]))
        print(*asyncio.run(main()), sep="\\n")
        """
    assert run(tmp_path, program) == ["plugins.a.other", "plugins.a.helper", "plugins.a.other"]


def test_generators_and_coroutines_are_entered_when_they_run(tmp_path: Path) -> None:
    files = {
        "plugins/b.py": """
        def numbers():
            yield 1
            yield 2
        async def later():
            return 3
        """
    }
    program = """
        import plugins.b as b
        begun = b.numbers()
        next(begun)
        with Entered(own) as entered:
            next(begun)
        show(entered)
        with Entered(own) as entered:
            b.numbers()
            list(b.numbers())
        show(entered)
        waiting = b.later()
        async def main():
            with Entered(own) as entered:
                await waiting
            show(entered)
        asyncio.run(main())
        """
    assert run(tmp_path, program, files) == ["plugins.b.numbers", "plugins.b.numbers", "plugins.b.later"]


def test_modules_that_are_imported_by_a_computed_name(tmp_path: Path) -> None:
    program = """
        def body(name):
            return importlib.import_module("plugins." + name).handle(1)
        def relative(name):
            return importlib.import_module("." + name, "plugins").other(1)
        def plain():
            return importlib.import_module("plugins.a").other(1)
        def foreign():
            return importlib.import_module("js" + "on")
        with Entered(own) as entered:
            body("a")
        print(*[n for n in names(entered) if n.startswith("plugins.a")])
        for function, arguments in ((body, ["a"]), (relative, ["a"]), (plain, []), (foreign, [])):
            with Entered(own) as entered:
                function(*arguments)
            show(entered)
        """
    assert run(tmp_path, program) == [
        "plugins.a. plugins.a.<module> plugins.a.Kind plugins.a.handle plugins.a.helper",
        "__main__.body plugins.a. plugins.a.handle plugins.a.helper",
        "__main__.relative plugins.a. plugins.a.other",
        "__main__.plain plugins.a.other",
        "__main__.foreign",
    ]


def test_generated_methods_count_for_their_class(tmp_path: Path) -> None:
    files = {
        "plugins/b.py": """
        from collections import namedtuple
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: int = 1
        Pair = namedtuple("Pair", "a b")
        """
    }
    program = """
        import plugins.b
        with Entered(own) as entered:
            vars(plugins.b)["Po" + "int"]()
            vars(plugins.b)["Pa" + "ir"](1, 2)
        show(entered)
        """
    assert run(tmp_path, program, files) == ["plugins.b.Point"]


def test_code_that_is_known_is_left_out_with_what_is_inside_of_it(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        def outer():
            def inner():
                return [a.other(i) for i in range(2)]
            return inner()
        with Entered(own) as entered:
            outer()
        print(*[e.qualname for e in unknown(entered.entries, [outer.__code__])])
        print(*[e.qualname for e in unknown(entered.entries, [outer.__code__, a.other.__code__])])
        """
    assert run(tmp_path, program) == ["other", ""]


def test_extras_of_results_that_are_used_belong_to_all_blocks_around(tmp_path: Path) -> None:
    program = """
        from hitsave.memoisation.code.entered import adopt
        adopt({"nobody's": b"0"})
        with Entered(own) as outer:
            adopt({"a:f": b"1"})
            with Entered(own) as inner:
                adopt({"b:g": b"2"})
        print(sorted(outer.adopted), sorted(inner.adopted))
        """
    assert run(tmp_path, program) == ["['a:f', 'b:g'] ['b:g']"]


def test_what_has_become_own_is_seen_after_reconsidering(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        ours = False
        decide = lambda code, namespace: ours and namespace["__name__"].startswith("plugins")
        with Entered(decide) as entered:
            a.other(1)
        show(entered)
        ours = True
        reconsider()
        with Entered(decide) as entered:
            a.other(1)
        show(entered)
        """
    assert run(tmp_path, program) == ["", "plugins.a.other"]


def test_a_body_that_raises(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        try:
            with Entered(own) as entered:
                a.other(1)
                raise KeyError
        except KeyError:
            show(entered)
        print(entered_here.get(), sys.getprofile(), threading.getprofile())
        with Entered(own) as entered:
            a.helper(1)
        show(entered)
        """
    assert run(tmp_path, program) == ["plugins.a.other", "None None None", "plugins.a.helper"]


def test_a_profiler_of_others_is_left_alone(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        seen = []
        def profiler(frame, event, argument):
            if event == "call":
                seen.append(frame.f_code.co_name)
        sys.setprofile(profiler)
        with Entered(own) as entered:
            a.other(1)
        print(sys.getprofile() is profiler)
        sys.setprofile(None)
        print("other" in seen)
        """
    assert run(tmp_path, program) == ["True", "True"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="monitoring came with 3.12")
def test_tools_of_others_are_left_alone(tmp_path: Path) -> None:
    program = """
        for number in range(6):
            sys.monitoring.use_tool_id(number, f"tool {number}")
        import plugins.a as a
        with Entered(own) as entered:
            a.other(1)
        show(entered)
        print(*[sys.monitoring.get_tool(number) for number in range(6)], sep=", ")
        """
    assert run(tmp_path, program) == ["", "tool 0, tool 1, tool 2, tool 3, tool 4, tool 5"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="monitoring came with 3.12")
def test_a_restart_of_all_events_by_others(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        with Entered(own) as entered:
            a.other(1)
            sys.monitoring.restart_events()
            a.other(1)
        show(entered)
        with Entered(own) as entered:
            a.other(1)
        show(entered)
        """
    assert run(tmp_path, program) == ["plugins.a.other"] * 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="monitoring came with 3.12")
def test_a_loop_is_asked_about_once(tmp_path: Path) -> None:
    program = """
        import plugins.a as a
        from hitsave.memoisation.code import entered as module
        asked = []
        note = module._ledger.note
        def counting(code, frame, here):
            asked.append(code.co_name)
            return note(code, frame, here)
        module._ledger.note = counting
        with Entered(own) as entered:
            for _ in range(10_000):
                a.other(1)
        print(asked.count("other"))
        """
    assert run(tmp_path, program) in (["1"], ["2"])  # Once by the tool that finds it, once by the one that watches it.


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there is no profile function from 3.12 on")
@pytest.mark.parametrize("heavy", ["for i in range(3_000_000): a.helper(i)", "for i in range(30_000_000): pass"])
def test_the_profile_function_is_given_up_where_it_costs_too_much(tmp_path: Path, heavy: str) -> None:
    program = f"""
        import plugins.a as a
        def body():
            {heavy}
            return sys.getprofile()
        with Entered(own) as entered:
            print(body())
        print("__main__.body" in names(entered))
        """
    assert run(tmp_path, program) == ["None", "True"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there is no profile function from 3.12 on")
def test_long_calls_are_seen_after_it_was_given_up(tmp_path: Path) -> None:
    program = """
        import plugins.a as a, time
        def slow():
            end = time.monotonic() + 0.5
            while time.monotonic() < end: pass
        def outside():
            with Entered(own) as entered:
                for i in range(1_000_000): a.helper(i)
                print(sys.getprofile())
                slow()
            return entered
        show(outside())
        """
    assert run(tmp_path, program) == ["None", "__main__.slow plugins.a.helper"]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_a_forked_child_begins_anew(tmp_path: Path) -> None:
    program = """
        import os, plugins.a as a
        from hitsave.memoisation.code import entered as module
        held = threading.Event()
        def hold():
            with module._ledger.lock:
                held.set()
                threading.Event().wait(0.3)
        with Entered(own) as outer:
            for busy in (False, True, True):  # Whether another thread notes something just then.
                if busy:
                    threading.Thread(target=hold).start()
                    held.wait()
                child = os.fork()
                if not child:
                    with Entered(own) as entered:
                        a.other(1)
                    os._exit(0 if names(entered) == ["plugins.a.other"] else 1)
                print(os.waitpid(child, 0)[1])
        print("plugins.a.other" in names(outer))
        """
    assert run(tmp_path, program, {}) == ["0", "0", "0", "False"]
