package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.Diagnostics;

/** The program of a JVM that a test starts: loads the natives and prints what they are, or the refusal's code and sentence. */
public final class Diagnose {

  private Diagnose() {}

  /** Exit code 0: loaded; 1: refused. */
  public static void main(String[] arguments) {
    try {
      Diagnostics found = Coppice.diagnostics();
      System.out.println("isa=" + found.isa());
      System.out.println("library=" + found.operatorLibrary());
      System.out.println("module=" + Coppice.class.getModule().getName());
    } catch (CoppiceException e) {
      System.out.println(e.code() + ": " + e.getMessage());
      System.exit(1);
    }
  }
}
