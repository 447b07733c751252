package dev.coppice.ort;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.coppice.api.BundleException;
import dev.coppice.api.Image;
import dev.coppice.api.Preprocessing;
import dev.coppice.engine.Engine;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.tensor.FloatTensor;
import dev.coppice.tensor.Graph;
import dev.coppice.tensor.LongTensor;
import dev.coppice.tensor.ModelSpec;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** An engine on ONNX Runtime: fixed direct buffers in and out, so that a run copies nothing and allocates next to nothing. */
public final class OrtEngine implements Engine {

  /** Budgets whose buffers are kept; a ladder has fewer rungs. */
  private static final int BUDGETS = 16;

  private final ModelSpec model;
  private final OrtEnvironment environment;
  private final ModelLoader.Loaded loaded; // keeps mapped weights reachable
  private final OrtSession session;
  private final FloatPort image;
  private final FloatPort logits;
  private final PictureInput picture;
  private final OrtSession.RunOptions runOptions;
  private final Map<List<Integer>, Budget> budgets =
      new LinkedHashMap<>(BUDGETS, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<List<Integer>, Budget> eldest) {
          if (size() <= BUDGETS) {
            return false;
          }
          eldest.getValue().close();
          return true;
        }
      };

  /** The values bound to one token budget. */
  private record Budget(Map<String, OnnxTensor> inputs, Map<String, OnnxValue> outputs, List<OnnxTensor> own, List<LongTensor> kept) {
    void close() {
      own.forEach(OnnxTensor::close);
    }
  }

  /** The version of ONNX Runtime in use. */
  public static String version() {
    return Environment.get().getVersion();
  }

  /** Loads the model and the operator library. cache: folder for its optimised form, if one is to be kept. */
  public OrtEngine(Graph graph, ModelSpec model, Preprocessing preprocessing, OperatorLibrary library, SessionSettings settings, Optional<Path> cache) {
    this.model = model;
    ModelLoader loader = new ModelLoader(library, settings);
    try {
      loaded = loader.load(model.name(), graph, cache);
    } catch (OrtException e) {
      throw Failures.opening(model.name(), e);
    }
    this.environment = Environment.get();
    session = loaded.session();
    requirePorts();
    try {
      image = new FloatPort(environment, model.imageShape());
      logits = new FloatPort(environment, 1, model.classes());
      runOptions = new OrtSession.RunOptions();
      picture = new PictureInput(environment, loader, preprocessing, image.ownValue());
    } catch (OrtException e) {
      throw Failures.opening(model.name(), e);
    }
  }

  /** The model's session, for measuring what goes on around a run of it. */
  OrtSession session() {
    return session;
  }

  /** Refuses a graph with other inputs and outputs than the manifest names, which would fail at the first run only. */
  private void requirePorts() {
    List<String> inputs = model.kept().isEmpty() ? List.of(model.image()) : List.of(model.image(), model.keep());
    List<String> outputs = new ArrayList<>(List.of(model.logits()));
    outputs.addAll(model.kept());
    if (!session.getInputNames().equals(new HashSet<>(inputs)) || !session.getOutputNames().containsAll(outputs)) {
      String found = session.getInputNames() + " and " + session.getOutputNames();
      close(session);
      throw new BundleException("model", "Bundle \"" + model.name() + "\": expected a model with inputs " + inputs + " and outputs " + outputs
          + ", found " + found + "; export it again.");
    }
  }

  @Override
  public FloatTensor image() {
    return image.own();
  }

  @Override
  public void load(Image pixels) {
    try {
      picture.load(pixels);
    } catch (OrtException e) {
      throw Failures.running(model.name(), e);
    }
  }

  @Override
  public Output run(List<Integer> keep) {
    try {
      Budget budget = budget(keep);
      run(budget, image.ownValue(), logits.ownValue());
      return new Output(logits.own(), budget.kept);
    } catch (OrtException e) {
      throw Failures.running(model.name(), e);
    }
  }

  @Override
  public void run(FloatBuffer tensor, List<Integer> keep, FloatBuffer out) {
    try {
      OnnxTensor from = image.over(tensor);
      OnnxTensor to = logits.over(out);
      if (from == image.ownValue()) {
        image.own().data().put(0, tensor, tensor.position(), image.own().elements());
      }
      run(budget(keep), from, to);
      if (to == logits.ownValue()) {
        out.put(out.position(), logits.own().data(), 0, logits.own().elements());
      }
    } catch (OrtException e) {
      throw Failures.running(model.name(), e);
    }
  }

  private void run(Budget budget, OnnxTensor from, OnnxTensor to) throws OrtException {
    budget.inputs.put(model.image(), from);
    budget.outputs.put(model.logits(), to);
    runOptions.setTerminate(false);
    session.run(budget.inputs, Set.of(), budget.outputs, runOptions).close();
  }

  private Budget budget(List<Integer> keep) throws OrtException {
    Budget budget = budgets.get(keep);
    if (budget == null) {
      budget = bind(keep);
      budgets.put(List.copyOf(keep), budget);
    }
    return budget;
  }

  private Budget bind(List<Integer> keep) throws OrtException {
    Map<String, OnnxTensor> inputs = new HashMap<>();
    Map<String, OnnxValue> outputs = new HashMap<>();
    List<OnnxTensor> own = new ArrayList<>();
    List<LongTensor> kept = new ArrayList<>();
    if (!keep.isEmpty()) {
      LongTensor counts = LongTensor.vector(keep);
      own.add(OnnxTensor.createTensor(environment, counts.data(), counts.shape()));
      inputs.put(model.keep(), own.get(0));
    }
    for (int stage = 0; stage < keep.size(); stage++) {
      LongTensor positions = LongTensor.row(model.prefixTokens() + keep.get(stage));
      OnnxTensor value = OnnxTensor.createTensor(environment, positions.data(), positions.shape());
      own.add(value);
      outputs.put(model.kept().get(stage), value);
      kept.add(positions);
    }
    return new Budget(inputs, outputs, own, List.copyOf(kept));
  }

  @Override
  public void terminate() {
    try {
      runOptions.setTerminate(true);
    } catch (OrtException e) {
      throw Failures.running(model.name(), e);
    }
  }

  @Override
  public void close() {
    budgets.values().forEach(Budget::close);
    budgets.clear();
    picture.close();
    image.close();
    logits.close();
    runOptions.close();
    close(session);
  }

  static void close(OrtSession session) {
    try {
      session.close();
    } catch (OrtException e) {
      throw Failures.closing(e);
    }
  }
}
