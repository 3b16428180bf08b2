#include "specs/schema.hpp"

#include <nlohmann/json.hpp>

#include <string_view>
#include <vector>

#include "specs/fields.hpp"

namespace safe::specs {
namespace {

using Json = nlohmann::ordered_json;

/// A default or an example, as the JSON value that stands for it.
Json value_of(const ScalarInfo& scalar, const std::string& text) {
    return scalar.kind == ScalarInfo::Kind::text ? Json(text) : Json::parse(text);
}

Json scalar_schema(const ScalarInfo& scalar) {
    if (scalar.kind == ScalarInfo::Kind::boolean) return {{"type", "boolean"}};
    const bool is_integer = scalar.kind == ScalarInfo::Kind::integer;
    if (!scalar.choices.empty()) {
        Json choices = Json::array();
        for (const std::string& choice : scalar.choices) choices.push_back(value_of(scalar, choice));
        return {{"type", is_integer ? "integer" : "string"}, {"enum", choices}};
    }
    if (is_integer) return {{"type", "integer"}, {"minimum", scalar.lowest}, {"maximum", scalar.highest}};
    return {{"type", "string"}, {"pattern", scalar.pattern}, {"maxLength", scalar.longest}};
}

Json part_schema(const std::vector<FieldInfo>& fields);

Json shape_schema(const FieldInfo& field) {
    switch (field.shape) {
        case FieldInfo::Shape::scalar:
            return scalar_schema(field.scalar);
        case FieldInfo::Shape::list:
            return {{"type", "array"}, {"items", scalar_schema(field.scalar)}, {"minItems", 1}, {"uniqueItems", true}};
        case FieldInfo::Shape::part:
            return part_schema(field.inside);
        case FieldInfo::Shape::choice: {
            Json schema = part_schema(field.inside);
            schema["minProperties"] = 1;
            schema["maxProperties"] = 1;
            return schema;
        }
        case FieldInfo::Shape::names:
            return {{"type", "object"},
                    {"propertyNames", scalar_schema(field.name)},
                    {"additionalProperties", part_schema(field.inside)}};
        case FieldInfo::Shape::pairs:
            return {{"type", "object"},
                    {"propertyNames", scalar_schema(field.name)},
                    {"additionalProperties", scalar_schema(field.scalar)}};
    }
    std::unreachable();
}

Json field_schema(const FieldInfo& field) {
    Json schema{{"description", field.meaning}};
    schema.update(shape_schema(field));
    if (field.shape != FieldInfo::Shape::scalar) return schema;
    const bool has_default = field.presence == FieldInfo::Presence::defaulted && !field.is_fallback_in_words;
    if (has_default) schema["default"] = value_of(field.scalar, field.fallback);
    schema["examples"] = Json::array({value_of(field.scalar, field.example)});
    return schema;
}

Json part_schema(const std::vector<FieldInfo>& fields) {
    Json required = Json::array();
    Json properties = Json::object();
    for (const FieldInfo& field : fields) {
        if (field.presence == FieldInfo::Presence::required) required.push_back(field.key);
        properties[field.key] = field_schema(field);
    }
    Json schema{{"type", "object"}, {"additionalProperties", false}};
    if (!required.empty()) schema["required"] = required;
    schema["properties"] = properties;
    return schema;
}

}  // namespace

std::string json_schema() {
    Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                {"title", "safe.yaml"},
                {"description", "What an operator writes: one digital safe."}};
    schema.update(part_schema(spec_field_infos()));
    return schema.dump(2) + "\n";
}

}  // namespace safe::specs
