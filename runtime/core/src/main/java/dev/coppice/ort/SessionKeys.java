package dev.coppice.ort;

import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * The session entries that a caller may give. ONNX Runtime itself takes any key and any value in silence.
 *
 * <p>Meanings: onnxruntime_session_options_config_keys.h of ONNX Runtime 1.29, told in docs/reference/options.md.
 */
final class SessionKeys {

  private static final Pattern FLAG = Pattern.compile("[01]");
  private static final Pattern COUNT = Pattern.compile("\\d{1,9}");

  private static final Map<String, Pattern> ALLOWED = new TreeMap<>(Map.ofEntries(
      Map.entry("optimization.enable_gelu_approximation", FLAG),
      Map.entry("session.disable_double_qdq_remover", FLAG),
      Map.entry("session.disable_prepacking", FLAG),
      Map.entry("session.disable_quant_qdq", FLAG),
      Map.entry("session.dynamic_block_base", COUNT),
      Map.entry("session.enable_quant_qdq_cleanup", FLAG),
      Map.entry("session.force_spinning_stop", FLAG),
      Map.entry("session.intra_op.spin_duration_us", COUNT),
      Map.entry("session.intra_op_thread_affinities", Pattern.compile("[0-9]+([,;-][0-9]+)*")),
      Map.entry("session.set_denormal_as_zero", FLAG),
      Map.entry("session.use_device_allocator_for_initializers", FLAG)));

  private SessionKeys() {}

  /** The keys, in order. */
  static Iterable<String> names() {
    return ALLOWED.keySet();
  }

  /** Refuses an entry that has no effect, or one that is ours to set. */
  static void require(Map<String, String> config) {
    for (String key : new TreeSet<>(config.keySet())) {
      Pattern values = ALLOWED.get(key);
      if (values == null) {
        throw new IllegalArgumentException("config must have keys of " + ALLOWED.keySet() + ": " + key);
      }
      if (!values.matcher(config.get(key)).matches()) {
        throw new IllegalArgumentException("config " + key + " must match " + values + ": " + config.get(key));
      }
    }
  }
}
