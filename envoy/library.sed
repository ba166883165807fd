# Rewrites the demo's files for the library: each wasm filter becomes a dynamic-module filter with the same configuration.
#
#   sed -E -f envoy/library.sed envoy/demo.yaml
#
# From the filter's type down to its configuration, a wasm filter looks like this, and the library needs two of the lines:
#
#   "@type": …filters.http.wasm.v3.Wasm            "@type": …filters.http.dynamic_modules.v3.DynamicModuleFilter
#   config:                                        dynamic_module_config: {name: portcullis}
#     name: rate-limit
#     vm_config:
#       vm_id: portcullis
#       runtime: envoy.wasm.runtime.v8
#       code: {local: {filename: dist/rate_limit.wasm}}    filter_name: rate_limit
#     failure_policy: FAIL_RELOAD
#     configuration:                               filter_config:
/filters\.http\.wasm\.v3\.Wasm$/,/configuration:$/ {
    s/^( *)"@type": .*/\1"@type": type.googleapis.com\/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter/
    s/^( *)config:$/\1dynamic_module_config: {name: portcullis}/
    s/^    ( *)code: .*dist\/(.*)\.wasm.*/\1filter_name: \2/
    s/^  ( *)configuration:$/\1filter_config:/
    /^ *(name|vm_id|runtime|failure_policy):/d
    /^ *vm_config:$/d
    /^ *#/d
}
# The filter that a control plane pushes.
s/(type_urls: \[.*filters\.http\.)wasm\.v3\.Wasm\]/\1dynamic_modules.v3.DynamicModuleFilter]/
s/control-plane\/rate-limit/control-plane\/library-rate-limit/
