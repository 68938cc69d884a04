package org.example.kin;

import android.app.Activity;
import android.os.Bundle;
import android.widget.Button;
import android.widget.LinearLayout;
import android.widget.TextView;

/** Reads a file without blocking; what is still being read when the activity
 *  goes is cancelled. */
public final class MainActivity extends Activity {
    static {
        System.loadLibrary("example");      // on the main thread: ties Main to it
    }

    private long scope;
    private TextView text;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        text = new TextView(this);
        Button button = new Button(this);
        button.setText("Read");
        button.setOnClickListener(view -> read(scope, "/proc/self/status"));

        LinearLayout layout = new LinearLayout(this);
        layout.setOrientation(LinearLayout.VERTICAL);
        layout.addView(button);
        layout.addView(text);
        setContentView(layout);
        scope = open();
    }

    @Override
    protected void onDestroy() {
        close(scope);
        scope = 0;
        super.onDestroy();
    }

    /** Called by native code, on the main thread, while the scope is open. */
    private void show(String what) {
        text.setText(what);
    }

    private native long open();
    private native void read(long scope, String path);
    private static native void close(long scope);
}
