"""`pytest_tests`: a py_test for each test file of a package, run by pytest."""

_RUNNER = "//tools:run_pytest.py"

def pytest_tests(size, deps, data = []):
    """Declares a test for each test_*.py here, and a library of what they share.

    Args:
      size: of every test.
      deps: libraries that the tests and their helpers import.
      data: files that they read, beyond the gin files here and those of the repository.
    """
    tests = native.glob(["test_*.py"])
    helpers = [":helpers"]
    if native.package_name() != "tests":
        helpers.append("//tests:helpers")
    native.py_library(
        name = "helpers",
        testonly = True,
        srcs = native.glob(["*.py"], exclude = tests),
        data = data + native.glob(["*.gin"]),
        deps = deps,
    )
    for test in tests:
        native.py_test(
            name = test[:-len(".py")],
            size = size,
            srcs = [test, _RUNNER],
            args = ["$(location %s)" % test],
            data = ["//:gin_configs", "//:pyproject.toml"],
            main = _RUNNER,
            deps = helpers,
        )
