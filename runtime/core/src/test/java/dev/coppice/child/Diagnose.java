package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Diagnostics;

/** The program of a JVM that a test starts: loads the natives and prints what they are, or the refusal's code and sentence. */
public final class Diagnose {

  private Diagnose() {}

  /** Exit code 0: loaded; 1: refused. */
  public static void main(String[] arguments) {
    Diagnostics found = Coppice.diagnostics();
    for (Diagnostics.Finding finding : found.findings()) {
      if (finding.code().startsWith("native.")) {
        System.out.println(finding.code() + ": " + finding.sentence());
        System.exit(1);
      }
    }
    System.out.println("isa=" + found.facts().get("isa"));
    System.out.println("library=" + found.facts().get("operators"));
    System.out.println("module=" + Coppice.class.getModule().getName());
  }
}
