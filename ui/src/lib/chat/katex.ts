/** KaTeX with its styles, as one part that is fetched by itself. */
import 'katex/dist/katex.min.css';
import katex from 'katex';

export default katex;
