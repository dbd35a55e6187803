"""Repositories that Bazel 4 asks for on its own, replaced by what it has built in.

A Python-only build uses nothing of them, but Bazel would fetch them before the first
target, which fails without network.
"""

_RULES_CC = [
    "binary",
    "import",
    "library",
    "proto_library",
    "test",
    "toolchain",
    "toolchain_suite",
]
_RULES_JAVA = ["binary", "import", "library", "runtime", "toolchain"]
_COVERAGE_TOOLS = ["coverage_report_generator", "lcov_merger"]

def _builtin_rules_impl(repository_ctx):
    language = repository_ctx.attr.language
    names = [language + "_" + rule for rule in repository_ctx.attr.rules]
    names += repository_ctx.attr.others
    repository_ctx.file(language + "/BUILD")
    repository_ctx.file(
        language + "/defs.bzl",
        "\n".join(["%s = native.%s" % (name, name) for name in names]) + "\n",
    )

_builtin_rules = repository_rule(
    implementation = _builtin_rules_impl,
    attrs = {
        "language": attr.string(mandatory = True),
        "others": attr.string_list(),
        "rules": attr.string_list(mandatory = True),
    },
    doc = "Writes <language>/defs.bzl, which exports rules that are part of Bazel.",
)

def _empty_targets_impl(repository_ctx):
    lines = ["package(default_visibility = [\"//visibility:public\"])"]
    lines += ["filegroup(name = \"%s\")" % name for name in repository_ctx.attr.targets]
    repository_ctx.file("BUILD", "\n".join(lines) + "\n")

_empty_targets = repository_rule(
    implementation = _empty_targets_impl,
    attrs = {"targets": attr.string_list(mandatory = True)},
    doc = "Writes a BUILD file of filegroups with nothing in them.",
)

def offline_repos():
    """Declares the three repositories."""
    _builtin_rules(
        name = "rules_cc",
        language = "cc",
        others = ["objc_library"],
        rules = _RULES_CC,
    )
    _builtin_rules(name = "rules_java", language = "java", rules = _RULES_JAVA)
    _empty_targets(name = "remote_coverage_tools", targets = _COVERAGE_TOOLS)
