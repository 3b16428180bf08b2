#include <fmt/format.h>

#include <string>
#include <vector>

#include "specs/fields.hpp"
#include "specs/schema.hpp"
#include "specs/text_scan.hpp"

namespace safe::specs {
namespace {

constexpr std::string_view introduction = R"(# Reference of safe.yaml

Every key of the language. This page and [safe.schema.json](safe.schema.json) are generated from the same table that reads
a spec; `safectl schema --reference` prints it.

A key that is not listed here is an error. NAME stands for a name that you choose: 1 to 20 lower-case letters, digits and
dashes, no dash at either end.

)";

constexpr std::string_view writing = R"(## How values are written

- YAML 1.2 with its core schema. `on`, `yes` and `no` are text; a number in quotes is text; text that looks like a number
  (a VM called `7` as a value) is put in quotes. Numbers are decimal, without leading zeros.
- Not part of the language: tags, merge keys (`<<`), directives, several documents in a file, a key twice. Anchors and
  aliases are allowed; each counts as many values as it stands for.
- UTF-8 without control characters, and without characters that are invisible or change the direction of text.
- In block style the last line ends with a line break: without it, a file counts as cut off.
- Relative paths start from the directory of the first file and do not leave it.

)";

std::string type_text(const FieldInfo& field) {
    switch (field.shape) {
        case FieldInfo::Shape::scalar:
            return field.scalar.form;
        case FieldInfo::Shape::list:
            return fmt::format("list, at least one, none twice: {}", field.scalar.form);
        case FieldInfo::Shape::part:
            return "mapping, below";
        case FieldInfo::Shape::choice: {
            std::vector<std::string> ways;
            ways.reserve(field.inside.size());
            for (const FieldInfo& way : field.inside) ways.push_back(fmt::format("`{}`: {}", way.key, way.scalar.form));
            return fmt::format("mapping with one of {}", fmt::join(ways, ", or "));
        }
        case FieldInfo::Shape::names:
            return "mapping by name, below";
        case FieldInfo::Shape::pairs:
            return fmt::format("mapping: {} to {}", field.name.form, field.scalar.form);
    }
    std::unreachable();
}

std::string presence_text(const FieldInfo& field) {
    switch (field.presence) {
        case FieldInfo::Presence::required:
            return "required";
        case FieldInfo::Presence::optional:
            return "optional";
        case FieldInfo::Presence::defaulted:
            break;
    }
    if (field.is_fallback_in_words) return field.fallback;
    return field.fallback.empty() ? "empty" : fmt::format("`{}`", field.fallback);
}

std::string section(const std::string& path, const std::vector<FieldInfo>& fields) {
    std::string text = path.empty() ? "## The spec\n\n" : fmt::format("## {}\n\n", path);
    text += "| key | type | default | meaning | example |\n|---|---|---|---|---|\n";
    const std::string prefix = path.empty() ? "" : path + ".";
    for (const FieldInfo& field : fields) {
        const std::string example = field.example.empty() ? "" : fmt::format("`{}: {}`", field.key, field.example);
        text += fmt::format("| `{}{}` | {} | {} | {} | {} |\n", prefix, field.key, type_text(field),
                            presence_text(field), field.meaning, example);
    }
    text += "\n";
    for (const FieldInfo& field : fields) {
        const bool is_by_name = field.shape == FieldInfo::Shape::names;
        if (field.shape == FieldInfo::Shape::choice) continue;
        if (!field.inside.empty()) text += section(prefix + field.key + (is_by_name ? ".NAME" : ""), field.inside);
    }
    return text;
}

std::string bounds() {
    return fmt::format(R"(## Bounds

What is larger is refused: {} MiB and {} files in one spec; {} keys and values; {} lists and mappings in each other; {} KiB
in one value; {} KiB in one line; {} of the characters that give YAML its structure (brackets, commas, colons, quotes) in one file.
)",
                       Bounds::bytes >> 20, Bounds::files, Bounds::nodes, Bounds::depth, Bounds::scalar_bytes >> 10,
                       Bounds::line_bytes >> 10, Bounds::marks);
}

}  // namespace

std::string reference_markdown() {
    return std::string(introduction) + section("", spec_field_infos()) + std::string(writing) + bounds();
}

}  // namespace safe::specs
