// What does llama.cpp itself reserve for a model, on devices that this machine does not have?
//
// Reads requests from standard input, one JSON object a line, and answers each with one JSON object a line:
//
//   {"devices": [MiB, ...], "args": ["-m", "x.gguf", "-c", "8192", ...]}   what llama-server would be started with
//   {"devices": [MiB, ...], "args": [...], "fit": true}                      the same, and what its own --fit makes of it
//   {"devices": [MiB], "mmproj": "x.gguf", "flash": true}                   a projector, as llama-server counts it
//   {"shape": "metadata.gguf", "ftype": 15, "without": ["regex", ...]}      the tensors that these metadata ask for
//
// The devices behave as CUDA's do where memory is decided: pinned host buffers, rows of quantized matrices padded to
// 512 elements, a quantized cache turned into f16 for attention, work of 32 tokens and more taken over from the host
// (`op_offload`), events and asynchronous copies (which make pipeline parallelism keep 4 copies). Nothing is allocated
// or computed: llama.cpp is asked with `no_alloc`, as its own --fit does.
//
// Built and run by bench/fit.py against llama.cpp's source and its built libraries.

#include "arg.h"
#include "common.h"
#include "fit.h"
#include "ggml-backend-impl.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"
#include "gguf.h"
#include "llama-ext.h"
#include "llama-model.h"
#include "llama.h"
#include "log.h"
#include "mtmd.h"
#include "speculative.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

using json = nlohmann::ordered_json;

static const size_t MIB = 1024 * 1024;
static const int MOST = 8;
static const int ROW_PADDING = 512;
static const int OFFLOAD_TOKENS = 32;

struct card {
    std::string name;
    size_t      bytes = 0;
    ggml_backend_buffer_type buft;
};

static card                cards[MOST];
static ggml_backend_device card_devices[MOST];
static ggml_backend_reg    card_registry;
static ggml_backend_buffer_type host_buft;

static card * card_of(ggml_backend_dev_t dev) { return (card *) dev->context; }

// buffers: they have an address to count from and no memory behind it

static void * buffer_base(ggml_backend_buffer_t) { return (void *) 0x1000; }
static void   buffer_set(ggml_backend_buffer_t, ggml_tensor *, const void *, size_t, size_t) {}
static void   buffer_get(ggml_backend_buffer_t, const ggml_tensor *, void *, size_t, size_t) {}
static void   buffer_memset(ggml_backend_buffer_t, ggml_tensor *, uint8_t, size_t, size_t) {}
static void   buffer_clear(ggml_backend_buffer_t, uint8_t) {}

static const char * buft_name(ggml_backend_buffer_type_t buft) { return card_of(buft->device)->name.c_str(); }
static size_t       buft_alignment(ggml_backend_buffer_type_t) { return 128; }

static ggml_backend_buffer_t buft_alloc(ggml_backend_buffer_type_t buft, size_t size) {
    ggml_backend_buffer_i iface = {};
    iface.get_base      = buffer_base;
    iface.set_tensor    = buffer_set;
    iface.get_tensor    = buffer_get;
    iface.memset_tensor = buffer_memset;
    iface.clear         = buffer_clear;
    return ggml_backend_buffer_init(buft, iface, nullptr, size);
}

static size_t attention_size(const ggml_tensor * dst) {
    const ggml_tensor * k = dst->src[1];
    const ggml_tensor * v = dst->src[2];
    const bool same = v->view_src && (v->view_src == k || (v->view_src == k->view_src && v->view_offs == k->view_offs));
    size_t end = ggml_nbytes(dst);
    if (k->type != GGML_TYPE_F16) {
        end = GGML_PAD(end, 128) + ggml_nelements(k) * 2;
    }
    if (v->type != GGML_TYPE_F16 && !same) {
        end = GGML_PAD(end, 128) + ggml_nelements(v) * 2;
    }
    return end;
}

static size_t buft_alloc_size(ggml_backend_buffer_type_t, const ggml_tensor * tensor) {
    size_t size = tensor->op == GGML_OP_FLASH_ATTN_EXT ? attention_size(tensor) : ggml_nbytes(tensor);
    if (ggml_is_quantized(tensor->type) && tensor->ne[0] % ROW_PADDING != 0) {
        size += ggml_row_size(tensor->type, ROW_PADDING - tensor->ne[0] % ROW_PADDING);
    }
    return size;
}

static const char * host_name(ggml_backend_buffer_type_t) { return "SIM_Host"; }

static ggml_backend_buffer_t host_alloc(ggml_backend_buffer_type_t buft, size_t size) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
    buffer->buft = buft;
    return buffer;
}

// a backend that is never asked to compute

static ggml_guid BACKEND_GUID = {0x73, 0x69, 0x6d, 0x75, 0x6c, 0x61, 0x74, 0x65, 0x64, 0x2d, 0x63, 0x61, 0x72, 0x64, 0x2d, 0x31};

static const char * backend_name(ggml_backend_t backend) { return card_of(backend->device)->name.c_str(); }
static void         backend_free(ggml_backend_t backend) { delete backend; }
static void         backend_wait(ggml_backend_t) {}
static void backend_set_async(ggml_backend_t, ggml_tensor *, const void *, size_t, size_t) {}
static void backend_get_async(ggml_backend_t, const ggml_tensor *, void *, size_t, size_t) {}
static bool backend_copy_async(ggml_backend_t, ggml_backend_t, const ggml_tensor *, ggml_tensor *) { return true; }
static ggml_status backend_compute(ggml_backend_t, ggml_cgraph *) { return GGML_STATUS_SUCCESS; }
static void backend_record(ggml_backend_t, ggml_backend_event_t) {}
static void backend_wait_event(ggml_backend_t, ggml_backend_event_t) {}

static const char * device_name(ggml_backend_dev_t dev) { return card_of(dev)->name.c_str(); }
static void device_memory(ggml_backend_dev_t dev, size_t * free, size_t * total) { *free = *total = card_of(dev)->bytes; }
static enum ggml_backend_dev_type device_type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; }

static void device_props(ggml_backend_dev_t dev, ggml_backend_dev_props * props) {
    memset(props, 0, sizeof(*props));
    props->name        = device_name(dev);
    props->description = device_name(dev);
    props->type        = GGML_BACKEND_DEVICE_TYPE_GPU;
    device_memory(dev, &props->memory_free, &props->memory_total);
    props->caps.async       = true;
    props->caps.host_buffer = true;
    props->caps.events      = true;
}

static ggml_backend_t device_init(ggml_backend_dev_t dev, const char *) {
    ggml_backend_i iface = {};
    iface.get_name         = backend_name;
    iface.free             = backend_free;
    iface.set_tensor_async = backend_set_async;
    iface.get_tensor_async = backend_get_async;
    iface.cpy_tensor_async = backend_copy_async;
    iface.synchronize      = backend_wait;
    iface.graph_compute    = backend_compute;
    iface.event_record     = backend_record;
    iface.event_wait       = backend_wait_event;
    return new ggml_backend{&BACKEND_GUID, iface, dev, nullptr};
}

static ggml_backend_buffer_type_t device_buft(ggml_backend_dev_t dev) { return &card_of(dev)->buft; }
static ggml_backend_buffer_type_t device_host_buft(ggml_backend_dev_t) { return &host_buft; }
static bool device_supports_op(ggml_backend_dev_t, const ggml_tensor *) { return true; }
static bool device_supports_buft(ggml_backend_dev_t dev, ggml_backend_buffer_type_t buft) { return buft == &card_of(dev)->buft; }

static int64_t batch_of(const ggml_tensor * op) {
    switch (op->op) {
        case GGML_OP_GET_ROWS:   return 0;
        case GGML_OP_MUL_MAT:    return op->ne[1];
        case GGML_OP_MUL_MAT_ID:
        case GGML_OP_ROPE:
        case GGML_OP_ROPE_BACK:  return op->ne[2];
        default:                 return ggml_nrows(op);
    }
}

static bool device_offload(ggml_backend_dev_t, const ggml_tensor * op) { return batch_of(op) >= OFFLOAD_TOKENS; }
static ggml_backend_event_t device_event(ggml_backend_dev_t dev) { return new ggml_backend_event{dev, nullptr}; }
static void device_event_free(ggml_backend_dev_t, ggml_backend_event_t event) { delete event; }
static void device_event_wait(ggml_backend_dev_t, ggml_backend_event_t) {}

static const char * registry_name(ggml_backend_reg_t) { return "SIM"; }
static size_t registry_count(ggml_backend_reg_t) { return MOST; }
static ggml_backend_dev_t registry_device(ggml_backend_reg_t, size_t index) { return &card_devices[index]; }

static void register_cards() {
    for (int i = 0; i < MOST; i++) {
        cards[i].name = "SIM" + std::to_string(i);
        ggml_backend_device_i & iface = card_devices[i].iface;
        iface.get_name             = device_name;
        iface.get_description      = device_name;
        iface.get_memory           = device_memory;
        iface.get_type             = device_type;
        iface.get_props            = device_props;
        iface.init_backend         = device_init;
        iface.get_buffer_type      = device_buft;
        iface.get_host_buffer_type = device_host_buft;
        iface.supports_op          = device_supports_op;
        iface.supports_buft        = device_supports_buft;
        iface.offload_op           = device_offload;
        iface.event_new            = device_event;
        iface.event_free           = device_event_free;
        iface.event_synchronize    = device_event_wait;
        card_devices[i].reg     = &card_registry;
        card_devices[i].context = &cards[i];
        ggml_backend_buffer_type_i & buft = cards[i].buft.iface;
        buft.get_name       = buft_name;
        buft.alloc_buffer   = buft_alloc;
        buft.get_alignment  = buft_alignment;
        buft.get_alloc_size = buft_alloc_size;
        cards[i].buft.device = &card_devices[i];
    }
    host_buft.iface.get_name      = host_name;
    host_buft.iface.alloc_buffer  = host_alloc;
    host_buft.iface.get_alignment = ggml_backend_cpu_buffer_type()->iface.get_alignment;
    host_buft.iface.is_host       = ggml_backend_cpu_buffer_type()->iface.is_host;
    host_buft.device              = &card_devices[0];
    card_registry = {GGML_BACKEND_API_VERSION, {registry_name, registry_count, registry_device, nullptr}, nullptr};
    ggml_backend_register(&card_registry);
}

// the questions

static common_params params_of(const json & request) {
    const std::vector<std::string> words = request.at("args");
    std::vector<char *> argv = {(char *) "llama-server"};
    for (const auto & word : words) {
        argv.push_back((char *) word.c_str());
    }
    common_params params;
    if (!common_params_parse((int) argv.size(), argv.data(), params, LLAMA_EXAMPLE_SERVER)) {
        throw std::runtime_error("arguments are not understood");
    }
    // what server.cpp and server_output_limits do between reading the arguments and loading the model
    if (params.embedding && params.n_batch > params.n_ubatch) {
        params.n_batch = params.n_ubatch;
    }
    if (params.n_parallel < 0) {
        params.n_parallel = 4;
        params.kv_unified = true;
    }
    const bool pooled = params.pooling_type != LLAMA_POOLING_TYPE_UNSPECIFIED && params.pooling_type != LLAMA_POOLING_TYPE_NONE;
    if (params.embedding || pooled) {
        params.n_outputs_max         = params.n_batch;
        params.n_outputs_max_per_seq = 1;
    } else {
        const auto limits = common_speculative_get_output_limits(
            params.n_batch, params.n_parallel, common_speculative_n_max(&params.speculative));
        params.n_outputs_max         = std::max<int32_t>(1, limits.total);
        params.n_outputs_max_per_seq = std::max<int32_t>(1, limits.per_seq);
    }
    return params;
}

static json taken(const llama_device_memory_data & data) {
    return {{"model", data.mb.model}, {"context", data.mb.context}, {"compute", data.mb.compute}};
}

static json breakdown(const char * path, llama_model_params mparams, const llama_context_params & cparams) {
    mparams.no_alloc  = true;
    mparams.load_mode = LLAMA_LOAD_MODE_NONE;
    llama_model * model = llama_model_load_from_file(path, mparams);
    if (model == nullptr) {
        throw std::runtime_error("the model cannot be loaded");
    }
    llama_context * ctx = llama_init_from_model(model, cparams);
    if (ctx == nullptr) {
        llama_model_free(model);
        throw std::runtime_error("no context can be made");
    }
    const int count = llama_model_n_devices(model);
    std::vector<llama_device_memory_data> devices(count);
    llama_device_memory_data host = {};
    for (const auto & [buft, mb] : llama_get_memory_breakdown(ctx)) {
        llama_device_memory_data * into = &host;
        for (int i = 0; i < count && !ggml_backend_buft_is_host(buft); i++) {
            if (ggml_backend_buft_get_device(buft) == llama_model_get_device(model, i)) {
                into = &devices[i];
            }
        }
        into->mb.model += mb.model;
        into->mb.context += mb.context;
        into->mb.compute += mb.compute;
    }
    json answer = {{"devices", json::array()}, {"host", taken(host)}, {"context", llama_n_ctx(ctx)}};
    for (const auto & data : devices) {
        answer["devices"].push_back(taken(data));
    }
    llama_free(ctx);
    llama_model_free(model);
    return answer;
}

static json ask(const json & request) {
    common_params params = params_of(request);
    std::vector<ggml_backend_dev_t> used;
    for (size_t i = 0; i < request.at("devices").size(); i++) {
        used.push_back(&card_devices[i]);
    }
    if (used.empty()) {
        used.push_back(nullptr);
    } else {
        used.push_back(nullptr);
    }
    params.devices = used;
    auto mparams = common_model_params_to_llama(params);
    auto cparams = common_context_params_to_llama(params);
    json answer = json::object();
    if (request.value("fit", false)) {
        const auto status = common_fit_params(
            params.model.path.c_str(), &mparams, &cparams, params.tensor_split, params.tensor_buft_overrides.data(),
            params.fit_params_target.data(), params.fit_params_min_ctx, nullptr, GGML_LOG_LEVEL_ERROR);
        json fitted = {{"status", (int) status}, {"ctx", cparams.n_ctx}, {"ngl", mparams.n_gpu_layers}};
        fitted["split"] = json::array();
        for (size_t i = 0; i < request.at("devices").size(); i++) {
            fitted["split"].push_back(mparams.tensor_split ? mparams.tensor_split[i] : 0.0f);
        }
        fitted["overrides"] = json::array();
        for (size_t i = 0; mparams.tensor_buft_overrides && mparams.tensor_buft_overrides[i].pattern; i++) {
            const auto & found = mparams.tensor_buft_overrides[i];
            fitted["overrides"].push_back({found.pattern, ggml_backend_buft_name(found.buft)});
        }
        answer["fit"] = fitted;
    }
    answer.update(breakdown(params.model.path.c_str(), mparams, cparams));
    return answer;
}

static json ask_projector(const json & request) {
    mtmd_context_params params = mtmd_context_params_default();
    params.use_gpu         = !request.at("devices").empty();
    params.print_timings   = false;
    params.warmup          = true;
    params.flash_attn_type = request.at("flash") ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    const std::string path = request.at("mmproj");
    const auto usage = mtmd_get_memory_usage(path.c_str(), params);
    json answer = {{"devices", json::object()}, {"image_max_tokens", usage.image_max_tokens}};
    for (const auto & [dev, size] : usage.backend_mem_usage) {
        answer["devices"][ggml_backend_dev_name(dev)] = size;
    }
    return answer;
}

// What llama-quantize decides for these tensors, in its order: by layer, then by name.
static void choose_types(const llama_model * model, json & tensors, int ftype) {
    std::vector<ggml_tensor>   all(tensors.size());
    std::vector<ggml_tensor *> quantized;
    std::vector<size_t>        indices;
    llama_model_quantize_params qparams = llama_model_quantize_default_params();
    qparams.ftype = (llama_ftype) ftype;
    quantize_state_impl * state = llama_quant_init(model, &qparams);
    for (size_t i = 0; i < tensors.size(); i++) {
        ggml_tensor & tensor = all[i];
        memset(&tensor, 0, sizeof(tensor));
        ggml_set_name(&tensor, tensors[i]["name"].get<std::string>().c_str());
        tensor.type = GGML_TYPE_F32;
        for (int d = 0; d < GGML_MAX_DIMS; d++) {
            tensor.ne[d] = d < (int) tensors[i]["shape"].size() ? tensors[i]["shape"][d].get<int64_t>() : 1;
        }
        tensors[i]["type"] = "f32";
        if (llama_quant_tensor_allows_quantization(state, &tensor)) {
            quantized.push_back(&tensor);
            indices.push_back(i);
        }
    }
    std::vector<ggml_type> types(quantized.size());
    llama_quant_compute_types(state, qparams.ftype, quantized.data(), types.data(), quantized.size());
    for (size_t i = 0; i < quantized.size(); i++) {
        tensors[indices[i]]["type"] = ggml_type_name(types[i]);
    }
    llama_quant_free(state);
}

static bool left_out(const std::string & name, const std::vector<std::regex> & patterns) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::regex & each) { return std::regex_search(name, each); });
}

static std::string renamed(const std::string & name, const std::string & from, const std::string & into) {
    const size_t at = name.find(from);
    return at == std::string::npos ? "" : name.substr(0, at) + into + name.substr(at + from.size());
}

// llama.cpp lists gate and up of the experts as one tensor, and queries, keys and values as three. Most files have two for
// the former ("fused" has one), some have one for the latter ("joined").
static json as_published(const json & tensors, bool joined, bool fused) {
    json result = json::array();
    std::map<std::string, int64_t> widths;
    for (const auto & tensor : tensors) {
        const std::string name = tensor["name"];
        if (!fused && name.find("ffn_gate_up_exps.") != std::string::npos) {
            for (const char * part : {"ffn_gate_exps.", "ffn_up_exps."}) {
                json half = tensor;
                half["name"]     = renamed(name, "ffn_gate_up_exps.", part);
                half["shape"][1] = tensor["shape"][1].get<int64_t>() / 2;
                result.push_back(half);
            }
            continue;
        }
        bool merged = false;
        for (const char * part : {"attn_q.weight", "attn_k.weight", "attn_v.weight"}) {
            const std::string whole = joined ? renamed(name, part, "attn_qkv.weight") : "";
            if (!whole.empty()) {
                widths[whole] += tensor["shape"][1].get<int64_t>();
                merged = true;
                if (part == std::string("attn_q.weight")) {
                    result.push_back({{"name", whole}, {"shape", tensor["shape"]}});
                }
            }
        }
        if (!merged) {
            result.push_back(tensor);
        }
    }
    for (auto & tensor : result) {
        const auto found = widths.find(tensor["name"]);
        if (found != widths.end()) {
            tensor["shape"][1] = found->second;
        }
    }
    return result;
}

// llama.cpp makes every tensor that a model of this architecture may have: "without" names those that it has not.
static json ask_shape(const json & request) {
    const std::string path = request.at("shape");
    gguf_context * metadata = gguf_init_from_file(path.c_str(), {true, nullptr});
    if (metadata == nullptr) {
        throw std::runtime_error("the metadata cannot be read");
    }
    std::vector<std::regex> patterns;
    for (const auto & pattern : request.at("without")) {
        patterns.emplace_back(pattern.get<std::string>());
    }
    llama_model_params mparams = llama_model_default_params();
    ggml_backend_dev_t none[]  = {nullptr};
    mparams.devices      = none;
    mparams.n_gpu_layers = 0;
    mparams.no_alloc     = true;
    mparams.load_mtp     = true;
    llama_model * model = llama_model_init_from_user(metadata, [](ggml_tensor *, void *) {}, nullptr, mparams);
    if (model == nullptr) {
        gguf_free(metadata);
        throw std::runtime_error("llama.cpp makes no model of these metadata");
    }
    json tensors = json::array();
    std::set<std::string> seen;
    for (const auto & [name, tensor] : model->tensors_by_name) {
        if (left_out(name, patterns) || !seen.insert(name).second) {
            continue; // what several layers share is listed for each
        }
        json shape = json::array();
        for (int i = 0; i < ggml_n_dims(tensor); i++) {
            shape.push_back(tensor->ne[i]);
        }
        tensors.push_back({{"name", name}, {"shape", shape}});
    }
    tensors = as_published(tensors, request.value("joined", false), request.value("fused", false));
    const auto layer_of = [](const json & tensor) {
        int layer = -1;
        sscanf(tensor["name"].get<std::string>().c_str(), "blk.%d.", &layer);
        return layer;
    };
    std::stable_sort(tensors.begin(), tensors.end(), [&](const json & a, const json & b) {
        return std::make_pair(layer_of(a), a["name"].get<std::string>()) < std::make_pair(layer_of(b), b["name"].get<std::string>());
    });
    choose_types(model, tensors, request.at("ftype"));
    llama_model_free(model);
    gguf_free(metadata);
    return {{"tensors", tensors}};
}

int main() {
    register_cards();
    llama_backend_init();
    common_init();
    const bool loud = getenv("ORACLE_LOG") != nullptr;
    common_log_set_verbosity_thold(loud ? 5 : -1);
    if (!loud) {
        llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
        mtmd_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    }
    std::string line;
    while (std::getline(std::cin, line)) {
        json answer;
        try {
            const json request = json::parse(line);
            int i = 0;
            for (const auto & mib : request.value("devices", json::array())) {
                cards[i++].bytes = mib.get<size_t>() * MIB;
            }
            answer = request.contains("shape") ? ask_shape(request) : request.contains("mmproj") ? ask_projector(request) : ask(request);
        } catch (const std::exception & error) {
            answer = {{"error", error.what()}};
        }
        std::cout << answer.dump() << std::endl;
    }
}
