import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';

// The code editor is most of @grafana/ui and no panel of ours has one.
const nothing = fileURLToPath(new URL('src/nothing.js', import.meta.url));

export default {
  plugins: [react()],
  resolve: {
    alias: [{ find: /^(react-)?monaco-editor(\/.*)?$/, replacement: nothing }],
  },
  define: { 'process.env': {}, global: 'globalThis' },
  build: { minify: false, target: 'es2022', chunkSizeWarningLimit: 99_999 },
};
