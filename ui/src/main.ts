import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { live } from '$lib/live.svelte';
import { navigation } from '$lib/navigation.svelte';
import { theme } from '$lib/theme.svelte';

theme.restore();
navigation.listen();
live.start();
mount(App, { target: document.getElementById('app')! });
