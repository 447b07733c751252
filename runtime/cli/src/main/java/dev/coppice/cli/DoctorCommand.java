package dev.coppice.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.coppice.Coppice;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.Diagnostics;
import dev.coppice.api.Diagnostics.Finding;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code coppice doctor}. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = "Prints what a bug report needs, and says what is wrong with this machine.")
final class DoctorCommand implements Callable<Integer> {

  @Spec private CommandSpec command;

  @Mixin private BundleOption bundle;

  @Option(names = "--output", paramLabel = "FORMAT", defaultValue = "text", description = "text, or json: one object. Default: text.")
  private OutputFormat output;

  @Override
  public Integer call() throws IOException {
    Diagnostics machine = Coppice.diagnostics();
    Map<String, String> facts = new LinkedHashMap<>(machine.facts());
    List<Finding> findings = new ArrayList<>(machine.findings());
    try (Classifier classifier = Coppice.open(bundle.path())) {
      classifier.selfTest();
      BundleInfo info = classifier.bundle();
      facts.put("bundle", info.name() + " " + info.version() + ", " + info.precision() + ", hashes and golden cases right");
    } catch (CoppiceException e) {
      if (findings.stream().noneMatch(finding -> finding.code().equals(e.code()))) { // a library that cannot be loaded is told once
        findings.add(new Finding(e.code(), e.getMessage()));
      }
    }
    PrintWriter out = command.commandLine().getOut();
    out.print(output == OutputFormat.JSON ? json(facts, findings) : text(facts, findings));
    out.flush();
    return findings.isEmpty() ? 0 : 1;
  }

  private static String text(Map<String, String> facts, List<Finding> findings) {
    StringBuilder text = new StringBuilder();
    facts.forEach((key, value) -> text.append(row(key, value)));
    findings.forEach(finding -> text.append(row("wrong", finding.code() + ": " + finding.sentence())));
    return text.append(findings.isEmpty() ? "Nothing is wrong.\n" : "").toString();
  }

  private static String row(String key, String value) {
    return String.format("%-21s %s%n", key, value);
  }

  private static String json(Map<String, String> facts, List<Finding> findings) throws IOException {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
      json.writeStartObject();
      json.writeObjectFieldStart("facts");
      for (Map.Entry<String, String> fact : facts.entrySet()) {
        json.writeStringField(fact.getKey().replace(' ', '_'), fact.getValue());
      }
      json.writeEndObject();
      json.writeArrayFieldStart("findings");
      for (Finding finding : findings) {
        json.writeStartObject();
        json.writeStringField("code", finding.code());
        json.writeStringField("sentence", finding.sentence());
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    return text + "\n";
  }
}
