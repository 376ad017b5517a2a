"""Prints the public surface of the Python package: a line for each exported name, each member, and each option."""

import ast
import functools
import sys
from pathlib import Path

#: Nobody calls them by name.
UNSAID = ("__del__", "__repr__")
FOLDER = Path(__file__).parent.parent / "packages/python/majordomo_client"


@functools.lru_cache(maxsize=None)
def declared(module):
    """The statements of a module by the names that they declare, those that it imports from the package included."""
    found = {}
    for each in ast.parse((FOLDER / f"{module}.py").read_text()).body:
        if isinstance(each, ast.ImportFrom) and each.level == 1 and each.module:
            other = declared(each.module)
            for alias in each.names:
                found.update(other if alias.name == "*" else {alias.asname or alias.name: other.get(alias.name)})
        elif isinstance(each, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found[each.name] = each
            each.home = module
        elif isinstance(each, (ast.Assign, ast.AnnAssign)):
            for target in each.targets if isinstance(each, ast.Assign) else [each.target]:
                found[ast.unparse(target)] = each
    return found


def signature(function):
    kind = "async " if isinstance(function, ast.AsyncFunctionDef) else ""
    marks = "".join(f"@{ast.unparse(each)} " for each in function.decorator_list)
    answer = "" if function.returns is None else f" -> {ast.unparse(function.returns)}"
    return f"{marks}{kind}({ast.unparse(function.args)}){answer}"


def lines(name, node, exported):
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield f"{name}: {signature(node)}"
    elif isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(each) for each in [*node.bases, *node.keywords])
        # What names arguments that were meant changes no argument.
        decorators = [ast.unparse(each) for each in node.decorator_list]
        marks = "".join(f"@{each} " for each in decorators if each != "names_options")
        yield f"{name}: {marks}class({bases})"
        yield from members(name, node, exported)
    else:
        yield f"{name}: {ast.unparse(node)}"


def attributes(constructor):
    for each in ast.walk(constructor):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and ast.unparse(each.value) == "self":
            if not each.attr.startswith("_"):
                yield each.attr


def members(name, node, exported):
    for base in node.bases:
        # What a base declares that nobody can name is declared here.
        bare = ast.unparse(base).split("[")[0]
        inherited = declared(node.home).get(bare)
        if bare not in exported and isinstance(inherited, ast.ClassDef):
            yield from members(name, inherited, exported)
    for each in node.body:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not each.name.startswith("_") or (each.name.startswith("__") and each.name not in UNSAID):
                yield f"{name}.{each.name}: {signature(each)}"
            if each.name == "__init__":
                yield from (f"{name}.{attribute}: attribute" for attribute in attributes(each))
        elif isinstance(each, ast.AnnAssign) and not ast.unparse(each.target).startswith("_"):
            value = "" if each.value is None else f" = {ast.unparse(each.value)}"
            yield f"{name}.{ast.unparse(each.target)}: {ast.unparse(each.annotation)}{value}"
        elif isinstance(each, ast.Assign) and not ast.unparse(each.targets[0]).startswith("_"):
            yield f"{name}.{ast.unparse(each.targets[0])}: {ast.unparse(each.value)}"


def options(module, command):
    """The arguments and options of a command."""
    for each in ast.walk(ast.parse((FOLDER / f"{module}.py").read_text())):
        if isinstance(each, ast.Call) and ast.unparse(each.func).endswith(".add_argument"):
            facts = [ast.unparse(fact) for fact in each.keywords if fact.arg != "help"]
            yield f"{command} {ast.literal_eval(each.args[0])}: {', '.join(facts) or 'text'}"


package = declared("__init__")
exported = ast.literal_eval(package["__all__"].value)
for each in exported:
    sys.stdout.writelines(f"{line}\n" for line in lines(each, package[each], exported))
sys.stdout.writelines(f"{line}\n" for line in options("worker", "majordomo-worker"))
