import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { recover } from '$lib/chunks';
import { noDropLeaves } from '$lib/dropping';
import { Keeper } from '$lib/focus/keeper';
import { live } from '$lib/live.svelte';
import { navigation } from '$lib/navigation.svelte';
import { theme } from '$lib/theme.svelte';

theme.restore();
navigation.listen();
noDropLeaves();
new Keeper().follow(document);
// Code of any part of a page: `App.svelte` sees only whole ones.
addEventListener('vite:preloadError', () => void recover());
live.start();
mount(App, { target: document.getElementById('app')! });
